// Stream sockets in the file system: what the control socket needs of them and no more.

import CHostSystem
import EventStoreCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A connected or listening socket. `@unchecked Sendable`: the descriptor is set once; reads belong to one thread;
/// what is sent is sent whole, under a lock of its own.
final class LocalSocket: @unchecked Sendable {
    private let descriptor: Int32
    private var pending: [UInt8] = []
    /// Whether the other end took all that was sent. Also the lock of sending.
    private let takes = Mutex(true)
    /// A descriptor that came with what was read; closed with the socket.
    private(set) var received: Int32 = -1

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit {
        _ = Self.libcClose(descriptor)
        if received >= 0 { _ = Self.libcClose(received) }
    }

    private static func libcClose(_ descriptor: Int32) -> Int32 { close(descriptor) }

    private static func make() -> Int32 {
        #if canImport(Darwin)
            return socket(AF_UNIX, SOCK_STREAM, 0)
        #else
            return socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        #endif
    }

    /// Runs a call with the address of a socket in a directory. Addresses are short: on Linux the directory is named by
    /// a descriptor, so that a store may lie however deep.
    private static func withAddress(
        _ directory: String, _ name: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(Fault) -> Int32 {
        let path = Path.join(directory, name)
        var short = path
        #if !canImport(Darwin)
            let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard folder >= 0 else { throw .system("open", errno: errno, file: directory) }
            defer { _ = libcClose(folder) }
            if path.utf8.count > 100 { short = "/proc/self/fd/\(folder)/\(name)" }
        #endif
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(short.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw Fault(.limit, "the path of the store is too long for a socket", at: .init(file: path))
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// `nil` when nobody listens.
    static func connect(_ directory: String, _ name: String) throws(Fault) -> LocalSocket? {
        let socket = LocalSocket(make())
        let result = try withAddress(directory, name) { libcConnect(socket.descriptor, $0, $1) }
        return result == 0 ? socket : nil
    }

    /// Listens in place of whatever is there: only the holder of the store's lock may call this.
    static func listen(_ directory: String, _ name: String) throws(Fault) -> LocalSocket {
        unlink(Path.join(directory, name))
        let socket = LocalSocket(make())
        let bound = try withAddress(directory, name) { bind(socket.descriptor, $0, $1) }
        let path = Path.join(directory, name)
        // Until then the directory's mode keeps others out; a umask would be that of every thread.
        guard bound == 0, chmod(path, 0o600) == 0, libcListen(socket.descriptor) == 0 else {
            throw .system("bind", errno: errno, file: path)
        }
        return socket
    }

    private static func libcListen(_ descriptor: Int32) -> Int32 {
        #if canImport(Glibc)
            Glibc.listen(descriptor, 16)
        #elseif canImport(Musl)
            Musl.listen(descriptor, 16)
        #else
            Darwin.listen(descriptor, 16)
        #endif
    }

    private static func libcConnect(
        _ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ length: socklen_t
    ) -> Int32 {
        #if canImport(Glibc)
            Glibc.connect(descriptor, address, length)
        #elseif canImport(Musl)
            Musl.connect(descriptor, address, length)
        #else
            Darwin.connect(descriptor, address, length)
        #endif
    }

    /// The next connection; `nil` when none came within the time.
    func accept(withinMs timeout: Int32) -> LocalSocket? {
        guard isReadable(withinMs: timeout) else { return nil }
        #if canImport(Glibc)
            let next = Glibc.accept(descriptor, nil, nil)
        #elseif canImport(Musl)
            let next = Musl.accept(descriptor, nil, nil)
        #else
            let next = Darwin.accept(descriptor, nil, nil)
        #endif
        guard next >= 0 else { return nil }
        // One that takes nothing is as good as gone.
        var limit = timeval(tv_sec: sendSeconds, tv_usec: 0)
        setsockopt(next, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return LocalSocket(next)
    }

    private var sendSeconds: Int { 5 }

    func isReadable(withinMs timeout: Int32) -> Bool {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&poller, 1, timeout) > 0
    }

    /// User and process at the other end, as the kernel says.
    var peer: (user: UInt32, process: Int32)? {
        var user: UInt32 = 0
        var process: Int32 = 0
        return eventstore_peer(descriptor, &user, &process) == 0 ? (user, process) : nil
    }

    /// Sends all of it, and with its first bytes a descriptor if one is given; false when the other end is gone, now or
    /// earlier.
    @discardableResult
    func send(_ bytes: [UInt8], with descriptor: Int32? = nil) -> Bool {
        takes.withLock { takes in
            var done = 0
            if takes, let descriptor {
                done = bytes.withUnsafeBytes {
                    eventstore_send_descriptor(self.descriptor, $0.baseAddress, $0.count, descriptor)
                }
                takes = done >= 0
            }
            if takes { takes = sendAll(bytes, from: done) }
            return takes
        }
    }

    private func sendAll(_ bytes: [UInt8], from start: Int) -> Bool {
        var done = start
        while done < bytes.count {
            let step = bytes.withUnsafeBytes { bytes in
                #if canImport(Darwin)
                    write(descriptor, bytes.baseAddress! + done, bytes.count - done)
                #else
                    libcSend(bytes.baseAddress! + done, bytes.count - done)
                #endif
            }
            if step > 0 {
                done += step
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    #if !canImport(Darwin)
        private func libcSend(_ bytes: UnsafeRawPointer, _ count: Int) -> Int {
            #if canImport(Glibc)
                Glibc.send(descriptor, bytes, count, Int32(MSG_NOSIGNAL))
            #else
                Musl.send(descriptor, bytes, count, Int32(MSG_NOSIGNAL))
            #endif
        }
    #endif

    /// The next line without its end; `nil` at the end, when a line is longer than allowed, or when `isWanted`, asked
    /// a few times a second, says that nobody waits any more.
    func line(max limit: Int, while isWanted: () -> Bool = { true }) -> [UInt8]? {
        var searched = 0
        while true {
            if let end = pending[searched...].firstIndex(of: 0x0a) {
                let line = Array(pending[..<end])
                pending.removeSubrange(...end)
                return line
            }
            searched = pending.count
            guard searched <= limit, isWanted() else { return nil }
            while !isReadable(withinMs: 200) { guard isWanted() else { return nil } }
            var buffer = [UInt8](repeating: 0, count: 16_384)
            let count = eventstore_receive(descriptor, &buffer, buffer.count, &received)
            if count > 0 {
                pending += buffer[..<count]
            } else if count == 0 || errno != EINTR {
                return nil
            }
        }
    }
}
