// Keys from the output of a command: `/bin/sh -c COMMAND`, its standard output read into secret memory.
// Invariant: the child is always waited for, also when it is killed for printing too much or taking too long.

import CLibCrypto
import EventStoreCore

#if canImport(Glibc)
    // `environ` is a C global that Swift cannot prove safe; it is read once, as every spawning program does.
    @preconcurrency import Glibc
#elseif canImport(Musl)
    @preconcurrency import Musl
#else
    import Darwin
#endif

extension RootKeyMaterial {
    /// Longest a key command may take.
    package static let commandTimeoutSeconds = 60

    /// Runs `command` with the shell and returns what it printed, at most 4 KiB. Standard input is empty,
    /// standard error is this process's. Blocks the thread meanwhile. Throws `invalid` when the command exits
    /// with a failure, prints too much or takes too long; what it printed is in no message.
    package static func runCommand(
        _ command: String, timeoutSeconds: Int = commandTimeoutSeconds
    ) throws(Fault) -> SecretBytes {
        let pipe = try makePipe()
        defer { close(pipe.reading) }
        let child = try spawn(command, output: pipe.writing)
        let content: Result<SecretBytes, Fault>
        do throws(Fault) {
            content = .success(try drain(pipe.reading, timeoutSeconds: timeoutSeconds))
        } catch {
            kill(child, SIGKILL)
            content = .failure(error)
        }
        let status = wait(for: child)
        let bytes = try content.get()
        guard status == 0 else {
            throw Fault(.invalid, "the key command failed: \(describe(status))")
        }
        return bytes
    }

    private static func makePipe() throws(Fault) -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        if pipe(&ends) != 0 { throw .system("pipe", errno: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// Starts the shell with `output` as its standard output, and closes `output` here.
    private static func spawn(_ command: String, output: Int32) throws(Fault) -> pid_t {
        defer { close(output) }
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
            let environment = _NSGetEnviron().pointee
        #else
            var actions = posix_spawn_file_actions_t()
            let environment = environ
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        var arguments: [UnsafeMutablePointer<CChar>?] = ["sh", "-c", command].map { (text: String) in strdup(text) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        let result = posix_spawn(&child, "/bin/sh", &actions, nil, &arguments, environment)
        if result != 0 { throw .system("posix_spawn", errno: result, file: "/bin/sh") }
        return child
    }

    /// Reads to the end of the pipe.
    private static func drain(_ descriptor: Int32, timeoutSeconds: Int) throws(Fault) -> SecretBytes {
        let room = contentBytesMax + 1
        let buffer = SecretMemory.allocate(room)
        defer { SecretMemory.free(buffer, room) }
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        var filled = 0
        while filled < room {
            let leftMs = (deadline - ContinuousClock.now) / .milliseconds(1)
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = leftMs > 0 ? poll(&request, 1, Int32(leftMs.rounded(.up))) : 0
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { throw Fault(.invalid, "the key command took longer than \(timeoutSeconds) s") }
            let count = read(descriptor, buffer + filled, room - filled)
            if count < 0, errno == EINTR { continue }
            if count < 0 { throw .system("read", errno: errno) }
            if count == 0 { return SecretBytes(copying: UnsafeRawBufferPointer(start: buffer, count: filled)) }
            filled += count
        }
        throw Fault(.invalid, "the key command printed more than \(contentBytesMax) bytes")
    }

    /// The raw wait status; -1 when this process does not get to know it (it ignores SIGCHLD).
    private static func wait(for child: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 {
            if errno != EINTR { return -1 }
        }
        return status
    }

    private static func describe(_ status: Int32) -> String {
        if status == -1 { return "its exit status is not known" }
        return status & 0x7f == 0 ? "exit status \(status >> 8 & 0xff)" : "signal \(status & 0x7f)"
    }
}
