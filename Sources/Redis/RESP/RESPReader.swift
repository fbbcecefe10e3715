import CHiredis
import NIOCore

/// hiredis' RESP reader, bounded, building Swift values without C replies in between.
///
/// hiredis trusts the server: it would take a bulk string of any length and an array of two thousand million elements. So
/// the bytes of one reply and the elements of one array are bounded here, and hiredis bounds the depth (7 arrays).
/// After an error the reader stays in error: what follows the damage cannot be told apart, so the connection must close.
@safe struct RESPReader: ~Copyable {
    struct Limits {
        /// The bytes of one reply, headers included. A snapshot of 10,000 seats takes about 1 MiB.
        var maxReplyBytes = 64 * 1024 * 1024
        /// The elements of one array.
        var maxElements = 1024 * 1024
    }

    private let handle: UnsafeMutablePointer<redisReader>
    private let builder: RESPBuilder
    private let maxReplyBytes: Int
    /// Bytes fed since the last whole reply ended.
    private var pendingBytes = 0

    init(limits: Limits = Limits()) {
        builder = RESPBuilder(maxElements: limits.maxElements)
        maxReplyBytes = limits.maxReplyBytes
        guard let reader = unsafe redisReaderCreateWithFunctions(RESPBuilder.functions) else {
            preconditionFailure("hiredis: out of memory for a reader")
        }
        unsafe handle = reader
        // The builder lives as long as this struct, and hiredis calls it only inside our own calls.
        unsafe reader.pointee.privdata = Unmanaged.passUnretained(builder).toOpaque()
    }

    deinit {
        unsafe redisReaderFree(handle)
    }

    mutating func feed(_ buffer: ByteBuffer) throws(RedisError) {
        pendingBytes += buffer.readableBytes
        let status = unsafe buffer.withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress else { return REDIS_OK }
            return unsafe redisReaderFeed(handle, base.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard status == REDIS_OK else { throw violation() }
    }

    /// The next whole reply, or nil until more bytes arrive.
    mutating func next() throws(RedisError) -> RESPValue? {
        var reply: UnsafeMutableRawPointer? = nil
        guard unsafe redisReaderGetReply(handle, &reply) == REDIS_OK else { throw violation() }
        guard unsafe reply != nil else {
            guard pendingBytes <= maxReplyBytes else {
                throw RedisError(.protocolViolation, "a reply is longer than \(maxReplyBytes) bytes", mayHaveRun: true)
            }
            return nil
        }
        unsafe pendingBytes = Int(handle.pointee.len) - Int(handle.pointee.pos)
        guard let value = builder.take() else { throw violation() }
        return value
    }

    private func violation() -> RedisError {
        RedisError(.protocolViolation, "Redis sent bytes that are no reply within our bounds", mayHaveRun: true)
    }
}

/// Collects what hiredis reads. hiredis announces each array before its elements, depth first, so a stack is enough.
final class RESPBuilder {
    private struct Frame {
        var elements: [RESPValue]
        var remaining: Int
    }

    private var frames: [Frame] = []
    private var finished: RESPValue?
    private let maxElements: Int

    init(maxElements: Int) {
        self.maxElements = maxElements
    }

    func take() -> RESPValue? {
        defer { finished = nil }
        return finished
    }

    /// False refuses the array; hiredis then reports an error and stops.
    func open(_ count: Int) -> Bool {
        guard count <= maxElements else { return false }
        guard count > 0 else {
            add(.array([]))
            return true
        }
        var elements: [RESPValue] = []
        // The announced count is only a claim; memory follows what really arrives.
        elements.reserveCapacity(min(count, 1024))
        frames.append(Frame(elements: elements, remaining: count))
        return true
    }

    func add(_ value: RESPValue) {
        var value = value
        while !frames.isEmpty {
            let top = frames.count - 1
            frames[top].elements.append(value)
            frames[top].remaining -= 1
            guard frames[top].remaining == 0 else { return }
            value = .array(frames.removeLast().elements)
        }
        finished = value
    }
}

extension RESPBuilder {
    /// The callbacks that hiredis keeps a pointer to. Written once before any reader exists and never freed or changed,
    /// which is what makes sharing it between threads sound.
    nonisolated(unsafe) static let functions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
        var functions = redisReplyObjectFunctions()
        unsafe functions.createString = { task, bytes, count in
            guard let task = unsafe task, let pointer = unsafe task.pointee.privdata else { return nil }
            let content = unsafe UnsafeRawBufferPointer(start: bytes, count: Int(count))
            let value: RESPValue =
                switch unsafe task.pointee.type {
                case REDIS_REPLY_STATUS: unsafe .simpleString(String(decoding: content, as: UTF8.self))
                case REDIS_REPLY_ERROR: unsafe .error(String(decoding: content, as: UTF8.self))
                default: unsafe .bulk(ByteBuffer(bytes: content))
                }
            unsafe builder(pointer).add(value)
            return unsafe pointer
        }
        unsafe functions.createArray = { task, count in
            guard let task = unsafe task, let pointer = unsafe task.pointee.privdata else { return nil }
            return unsafe builder(pointer).open(Int(count)) ? pointer : nil
        }
        unsafe functions.createInteger = { task, number in
            guard let task = unsafe task, let pointer = unsafe task.pointee.privdata else { return nil }
            unsafe builder(pointer).add(.integer(Int(number)))
            return unsafe pointer
        }
        unsafe functions.createNil = { task in
            guard let task = unsafe task, let pointer = unsafe task.pointee.privdata else { return nil }
            unsafe builder(pointer).add(.null)
            return unsafe pointer
        }
        // What hiredis believes to be its reply is always our builder, which it must not free.
        unsafe functions.freeObject = { _ in }
        let memory = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
        unsafe memory.initialize(to: functions)
        return unsafe memory
    }()

    private static func builder(_ pointer: UnsafeMutableRawPointer) -> RESPBuilder {
        unsafe Unmanaged<RESPBuilder>.fromOpaque(pointer).takeUnretainedValue()
    }
}
