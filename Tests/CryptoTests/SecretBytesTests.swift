// Memory of secrets: zeroed, cleansed, not shared.

import EventStoreCore
import EventStoreCrypto
import Testing

@Suite struct SecretBytesTests {
    /// Memory that held a secret comes back as zeros, small or large.
    @Test(arguments: [0, 1, 20, 32, 33, 4_096, 10_000])
    func memoryStartsAsZeros(_ count: Int) {
        for _ in 0..<300 {
            var wasZero = false
            let bytes = SecretBytes(count: count) { target in
                wasZero = target.allSatisfy { $0 == 0 }
                for index in target.indices { target[index] = 0xa5 }
            }
            #expect(wasZero)
            #expect(bytes.withUnsafeBytes { $0.count == count && $0.allSatisfy { $0 == 0xa5 } })
        }
    }

    @Test func manyLiveSecretsDoNotOverlap() {
        let secrets = (0..<2_000).map { number in
            secret([UInt8(truncatingIfNeeded: number), UInt8(number >> 8)])
        }
        for (number, one) in secrets.enumerated() {
            #expect(one.withUnsafeBytes { Int($0[0]) | Int($0[1]) << 8 } == number)
        }
    }

    @Test func anInitialiserThatThrowsGivesItsMemoryBack() {
        #expect(
            faultCode {
                _ = try SecretBytes(count: 100) { (_) throws(Fault) in throw Fault(.invalid, "no") }
            } == .invalid)
    }
}
