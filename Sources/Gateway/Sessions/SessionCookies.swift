import HTTPTypes
import Hummingbird
import Sessions

extension Response {
    /// The session as cookies: one that scripts cannot read, and one whose value a page of ours repeats in a header.
    mutating func setSessionCookies(_ signIn: SignIn) {
        set(Authenticator.cookie, signIn.accessToken, signIn.expiresIn, httpOnly: true)
        set(Authenticator.csrfCookie, signIn.csrfToken, signIn.expiresIn, httpOnly: false)
    }

    mutating func setSessionCookies(_ renewal: SessionRenewal) {
        set(Authenticator.cookie, renewal.accessToken, renewal.expiresIn, httpOnly: true)
        set(Authenticator.csrfCookie, renewal.csrfToken, renewal.expiresIn, httpOnly: false)
    }

    mutating func clearSessionCookies() {
        set(Authenticator.cookie, "", 0, httpOnly: true)
        set(Authenticator.csrfCookie, "", 0, httpOnly: false)
    }

    private mutating func set(_ name: String, _ value: String, _ maxAge: Int, httpOnly: Bool) {
        let cookie = Cookie(
            name: name,
            value: value,
            maxAge: maxAge,
            path: "/",
            secure: true,
            httpOnly: httpOnly,
            sameSite: .lax
        )
        setCookie(cookie)
    }
}
