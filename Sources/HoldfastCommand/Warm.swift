import ArgumentParser
import Hummingbird
import JWTKit
import AsyncHTTPClient
import Configuration
@main struct W: ParsableCommand { func run() throws {} }
