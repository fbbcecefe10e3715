import Testing

@testable import Orders

@Suite struct SandboxPaymentsTests {
    @Test("The sandbox takes its own methods, and none where it is not offered")
    func methods() {
        for method in SandboxPayments.Method.allCases {
            #expect(SandboxPayments().accepts(method: method.rawValue))
            #expect(!SandboxPayments(isOffered: false).accepts(method: method.rawValue))
        }
        #expect(!SandboxPayments().accepts(method: "card"))
    }
}
