import Logging
import NIOPosix
import Synchronization
import Testing

@testable import SocketIO

@Suite struct RoomRegistryTests {
    /// Checks that a room is opened and closed in turns.
    private final class Recorder: SocketAdapter {
        private let isOpen = Mutex(false)
        private let mistakes = Mutex(0)

        var mistakeCount: Int { self.mistakes.withLock { $0 } }
        var isOpenNow: Bool { self.isOpen.withLock { $0 } }

        private func change(to wanted: Bool) {
            let wasWrong = self.isOpen.withLock { isOpen in
                defer { isOpen = wanted }
                return isOpen == wanted
            }
            if wasWrong { self.mistakes.withLock { $0 += 1 } }
        }

        func attached(to server: SocketIOServer) {}
        func opened(namespace: String) {}
        func closed(namespace: String) {}
        func opened(_ room: String, namespace: String) { self.change(to: true) }
        func closed(_ room: String, namespace: String) { self.change(to: false) }
        func ready(_ room: String, namespace: String) async {}
        func readyForAnswers() async {}
        func publish(_ message: ClusterMessage) {}
        func ask(_ message: ClusterMessage, received: @escaping @Sendable (Int?) -> Void) { received(1) }
        func answer(_ message: ClusterMessage, to node: String) {}
    }

    @Test("The adapter hears of a room's first and last member in the order in which they came and went")
    func order() async {
        let logger = Logger(label: "test.rooms") { _ in SwiftLogNoOpLogHandler() }
        let io = SocketIOServer(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
        let recorder = Recorder()
        io.attach(recorder)
        let main = io.of("/")
        await withDiscardingTaskGroup { group in
            for _ in 0..<2 {
                group.addTask {
                    for _ in 0..<20_000 {
                        main.roomJoined("r")
                        main.roomLeft("r")
                    }
                }
            }
        }
        #expect(recorder.mistakeCount == 0)
        #expect(!recorder.isOpenNow)
        #expect(main.localMemberCount("r") == 0)
    }
}
