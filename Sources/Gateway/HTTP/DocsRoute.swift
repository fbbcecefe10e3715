import Hummingbird

/// `/docs`: the page of the reference, at the address itself. The files beside it are served as files.
struct DocsRoute: Sendable {
    let webRoot: String

    func add(to router: Router<GatewayContext>) {
        let files = FileIO()
        router.get("docs") { _, context in
            let page = try await files.loadFile(path: "\(webRoot)/docs/index.html", context: context)
            return Response(
                status: .ok,
                headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-cache"],
                body: page
            )
        }
    }
}
