import Foundation
import SocketIO
import Testing

@Suite(.timeLimit(.minutes(20))) struct SeatBoardTests {
    @Test("The seats' board of the documentation does what the article says")
    func runs() async throws {
        try await TestServer.with({ installSeatBoard(on: $0) }) { server in
            try await RawClient.open(server.port) { ada in
                try await RawClient.open(server.port) { bob in
                    try await ada.send(text: "40/hall-1,")
                    let refusal = #"44/hall-1,{"message":"Who are you?","data":{"code":"NAME_MISSING"}}"#
                    #expect(try await ada.text() == refusal)
                    for (client, name) in [(ada, "Ada"), (bob, "Bob")] {
                        try await client.send(text: #"40/hall-1,{"name":"\#(name)"}"#)
                        #expect(try await client.text()?.hasPrefix(#"40/hall-1,{"sid":""#) == true)
                        #expect(try await client.text() == #"42/hall-1,["board",[]]"#)
                    }
                    try await ada.send(text: #"42/hall-1,1["choose",{"row":1,"number":2}]"#)
                    #expect(try await ada.text() == "43/hall-1,1[true]")
                    let chosen = try #require(try await bob.text())
                    #expect(chosen.contains(#""name":"Ada""#) && chosen.hasPrefix(#"42/hall-1,["chosen",{"#))
                    try await bob.send(text: #"42/hall-1,1["choose",{"row":1,"number":2}]"#)
                    #expect(try await bob.text() == "43/hall-1,1[false]")
                    try await bob.send(text: #"42/hall-1,2["ask-everybody","Ready?"]"#)
                    let question = try #require(try await ada.text())
                    #expect(question.hasSuffix(#"["question","Ready?"]"#))
                    let id = question.dropFirst("42/hall-1,".count).prefix(while: \.isNumber)
                    try await ada.send(text: "43/hall-1,\(id)[true]")
                    #expect(try await bob.text() == "43/hall-1,2[1]")
                }
            }
        }
    }

    @Test("The article quotes the code that is compiled here")
    func quoted() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
        let code = try String(contentsOf: folder.appending(path: "SeatBoard.swift"), encoding: .utf8)
        let article = try String(
            contentsOf: folder.appending(path: "../../../Sources/SocketIO/Documentation.docc/SeatBoard.md"),
            encoding: .utf8
        )
        let parts = code.components(separatedBy: "// example: ").dropFirst()
        #expect(parts.count == 3)
        for part in parts {
            let body = part.drop { $0 != "\n" }.components(separatedBy: "\n// end")[0]
            #expect(article.contains("```swift\(body)\n```"), "the article lacks: \(part.prefix { $0 != "\n" })")
        }
    }
}
