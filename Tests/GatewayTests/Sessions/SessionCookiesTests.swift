import HTTPTypes
import HoldfastCore
import Hummingbird
import Testing

@testable import Gateway
@testable import Sessions

@Suite struct SessionCookiesTests {
    private func cookies(_ response: Response) -> [String] { response.headers[values: .setCookie].sorted() }

    @Test("Both cookies belong to this host alone, and only one can be read by scripts")
    func set() throws {
        var response = Response(status: .ok)
        response.setSessionCookies(
            SignIn(
                accessToken: "a.b.c",
                expiresIn: 60,
                refreshToken: "refresh",
                sessionHandle: SessionID().handle,
                csrfToken: "csrf"
            )
        )
        let cookies = cookies(response)
        try #require(cookies.count == 2)
        #expect(cookies[0].hasPrefix("__Host-holdfast-csrf=csrf;"))
        #expect(cookies[1].hasPrefix("__Host-holdfast=a.b.c;"))
        for cookie in cookies {
            for attribute in ["Secure", "Path=/", "SameSite=Lax", "Max-Age=60"] { #expect(cookie.contains(attribute)) }
            #expect(!cookie.contains("Domain"))
            #expect(!cookie.contains("refresh"))
        }
        #expect(!cookies[0].contains("HttpOnly"))
        #expect(cookies[1].contains("HttpOnly"))
    }

    @Test("Signing out takes both away")
    func clear() {
        var response = Response(status: .ok)
        response.clearSessionCookies()
        let cookies = cookies(response)
        #expect(cookies.count == 2)
        #expect(cookies.allSatisfy { $0.contains("Max-Age=0") && $0.contains("Secure") && $0.contains("Path=/") })
    }
}
