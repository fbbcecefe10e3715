// The example of the article "A board of seats". SeatBoardTests runs it, and checks that the article quotes it.

// example: values
import NIOCore
import SocketIO
import Synchronization

struct Seat: Codable, Sendable, Hashable {
    var row: Int
    var number: Int
}

struct Choice: Codable, Sendable {
    var seat: Seat
    var name: String
}
// end

// example: board
/// Who has which seat. One process has one board; several would share a database.
final class SeatBoard: Sendable {
    private let choices = Mutex<[Seat: String]>([:])

    func choose(_ choice: Choice) -> Bool {
        self.choices.withLock { choices in
            guard choices[choice.seat] == nil else { return false }
            choices[choice.seat] = choice.name
            return true
        }
    }

    var all: [Choice] {
        self.choices.withLock { $0.map { Choice(seat: $0, name: $1) } }
    }
}
// end

// example: server
func installSeatBoard(on io: SocketIOServer, _ board: SeatBoard = SeatBoard()) {
    let halls = io.of(/\/hall-\d+/)

    halls.use(inline: { socket in
        struct Auth: Decodable { var name: String }
        guard let auth = try? socket.handshake.auth.decode(Auth.self), !auth.name.isEmpty else {
            throw ConnectError(message: "Who are you?", data: ["code": "NAME_MISSING"])
        }
        socket.data = auth.name
    })

    halls.onConnection { socket in
        await socket.join("watching")
        socket.emit("board", board.all)
    }

    halls.on("choose") { (socket, seat: Seat) -> Bool in
        let choice = Choice(seat: seat, name: socket.data(as: String.self) ?? "")
        guard board.choose(choice) else { return false }
        socket.to("watching").emit("chosen", choice)
        return true
    }

    halls.on("ask-everybody") { (socket, question: String) -> Int in
        let answers = await socket.to("watching").timeout(.seconds(5)).emitWithAck("question", question, as: Bool.self)
        return answers.filter { $0 }.count
    }
}
// end
