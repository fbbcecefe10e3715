import FoundationEssentials
import Testing

@testable import OAuth

@Suite struct TokenAnswerTests {
    private func answer(_ text: String) throws -> TokenAnswer? {
        TokenAnswer(try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)), requestedScope: "openid")
    }

    @Test("A bearer token is taken as it is, whatever the case of its type and the kind of its number")
    func good() throws {
        let plain = try #require(try answer(#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#))
        #expect(plain.accessToken == "t" && plain.expiresIn == 60 && plain.scope == "openid")
        let text = try #require(
            try answer(
                #"{"access_token":"t","token_type":"bearer","expires_in":"60","scope":"a b","refresh_token":"r"}"#
            )
        )
        #expect(text.expiresIn == 60 && text.scope == "a b" && text.refreshToken == "r")
        #expect(try answer(#"{"access_token":"t","token_type":"bearer"}"#)?.expiresIn == 300)
        #expect(try answer(#"{"access_token":"t","token_type":"bearer","expires_in":-5}"#)?.expiresIn == 0)
        #expect(try answer(#"{"access_token":"t","token_type":"bearer","expires_in":1e300}"#)?.expiresIn == 300)
    }

    @Test(
        "What is no bearer token is none",
        arguments: [
            "{}", "[]", "null", #"{"access_token":"t"}"#, #"{"access_token":"t","token_type":"mac"}"#,
            #"{"access_token":"","token_type":"bearer"}"#, #"{"access_token":7,"token_type":"bearer"}"#,
            #"{"access_token":"a b","token_type":"bearer"}"#, #"{"access_token":"a\nb","token_type":"bearer"}"#,
        ]
    )
    func bad(_ text: String) throws {
        #expect(try answer(text) == nil)
    }

    @Test("It describes itself without its tokens")
    func silent() throws {
        let secret = try #require(try answer(#"{"access_token":"s3cret","token_type":"bearer"}"#))
        #expect(!"\(secret)".contains("s3cret") && !String(reflecting: secret).contains("s3cret"))
    }

    @Test("Values in Redis open in their place and under the secrets of the ring only")
    func vault() throws {
        let (a, b) = (
            Data(repeating: 1, count: 32).base64EncodedString(), Data(repeating: 2, count: 32).base64EncodedString()
        )
        let old = try OAuthVault(secrets: [a])
        let sealed = try old.seal(["x": 1], at: "here")
        #expect(old.open([String: Int].self, sealed, at: "here") == ["x": 1])
        #expect(old.open([String: Int].self, sealed, at: "there") == nil)
        #expect(try OAuthVault(secrets: [b, a]).open([String: Int].self, sealed, at: "here") == ["x": 1])
        #expect(try OAuthVault(secrets: [b]).open([String: Int].self, sealed, at: "here") == nil)
        #expect(old.open([String: Int].self, [], at: "here") == nil)
    }

    @Test("Forms are written as OAuth wants them")
    func forms() {
        #expect(FormText.encode([("a", "b c&d=é"), ("x", "~-._")]) == "a=b%20c%26d%3D%C3%A9&x=~-._")
    }
}
