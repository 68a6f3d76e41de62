// LZ4 over the bytes of a pack, before sealing. The only file of the room that calls liblz4.
//
// Small packs are compressed as if the format's preset dictionary stood before them, so that the words every
// web log repeats cost a reference even in a pack of one kilobyte.

import CLZ4
import EventStoreCore

/// Compresses packs. One per thread: it owns the state LZ4 works in.
package final class PackCompressor {
    /// Above this the preset dictionary no longer pays for being looked at.
    static let presetBytesMax = 64 * 1024
    static let highLevel: Int32 = 12

    private let stream: UnsafeMutablePointer<LZ4_stream_t>
    private let prepared: UnsafeMutablePointer<LZ4_stream_t>
    private var highStream: UnsafeMutablePointer<LZ4_streamHC_t>?
    private var highPrepared: UnsafeMutablePointer<LZ4_streamHC_t>?
    private var target = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)

    package init() {
        stream = .allocate(capacity: 1)
        prepared = .allocate(capacity: 1)
        LZ4_initStream(stream, MemoryLayout<LZ4_stream_t>.size)
        LZ4_initStream(prepared, MemoryLayout<LZ4_stream_t>.size)
        let preset = PresetDictionary.bytes
        LZ4_loadDict(prepared, preset.baseAddress, Int32(preset.count))
    }

    deinit {
        stream.deallocate()
        prepared.deallocate()
        highStream?.deallocate()
        highPrepared?.deallocate()
        target.deallocate()
    }

    /// The bytes to seal and how they came about: `plain` itself when compression saves less than a tenth.
    /// The result is valid until the next call.
    package func compress(
        _ plain: UnsafeRawBufferPointer, high: Bool
    ) -> (bytes: UnsafeRawBufferPointer, codec: PackCodec) {
        guard plain.count >= 32, plain.count <= Limits.packRawBytesMax else { return (plain, .raw) }
        // A result that does not fit is not wanted either.
        let room = plain.count - plain.count / 10
        if target.count < room {
            target.deallocate()
            target = .allocate(byteCount: room, alignment: 16)
        }
        let usePreset = plain.count <= PackCompressor.presetBytesMax
        let written =
            high ? compressHigh(plain, room, preset: usePreset) : compressFast(plain, room, preset: usePreset)
        guard written > 0 else { return (plain, .raw) }
        return (UnsafeRawBufferPointer(start: target.baseAddress, count: written), usePreset ? .lz4Preset : .lz4)
    }

    private func compressFast(_ plain: UnsafeRawBufferPointer, _ room: Int, preset: Bool) -> Int {
        let source = plain.baseAddress!.assumingMemoryBound(to: CChar.self)
        let out = target.baseAddress!.assumingMemoryBound(to: CChar.self)
        if preset {
            // The prepared state is a plain structure: copying it is loading the dictionary again.
            stream.update(from: prepared, count: 1)
            return Int(LZ4_compress_fast_continue(stream, source, out, Int32(plain.count), Int32(room), 1))
        }
        return Int(LZ4_compress_fast_extState(stream, source, out, Int32(plain.count), Int32(room), 1))
    }

    private func compressHigh(_ plain: UnsafeRawBufferPointer, _ room: Int, preset: Bool) -> Int {
        let source = plain.baseAddress!.assumingMemoryBound(to: CChar.self)
        let out = target.baseAddress!.assumingMemoryBound(to: CChar.self)
        let state = highState()
        if preset, let highPrepared {
            state.update(from: highPrepared, count: 1)
            return Int(LZ4_compress_HC_continue(state, source, out, Int32(plain.count), Int32(room)))
        }
        return Int(
            LZ4_compress_HC_extStateHC(
                state, source, out, Int32(plain.count), Int32(room), PackCompressor.highLevel))
    }

    private func highState() -> UnsafeMutablePointer<LZ4_streamHC_t> {
        if let highStream { return highStream }
        let state = UnsafeMutablePointer<LZ4_streamHC_t>.allocate(capacity: 1)
        let ready = UnsafeMutablePointer<LZ4_streamHC_t>.allocate(capacity: 1)
        LZ4_initStreamHC(state, MemoryLayout<LZ4_streamHC_t>.size)
        LZ4_initStreamHC(ready, MemoryLayout<LZ4_streamHC_t>.size)
        LZ4_resetStreamHC_fast(ready, PackCompressor.highLevel)
        let preset = PresetDictionary.bytes
        LZ4_loadDictHC(ready, preset.baseAddress, Int32(preset.count))
        highStream = state
        highPrepared = ready
        return state
    }

    /// Fills `plain` exactly, or throws `damaged`.
    package static func decompress(
        _ packed: UnsafeRawBufferPointer, codec: PackCodec, into plain: UnsafeMutableRawBufferPointer
    ) throws(Fault) {
        if plain.count == 0 { return }
        guard let target = plain.baseAddress, let source = packed.baseAddress else { throw damagedPack() }
        let from = source.assumingMemoryBound(to: CChar.self)
        let to = target.assumingMemoryBound(to: CChar.self)
        switch codec {
        case .raw:
            guard packed.count == plain.count else { throw damagedPack() }
            target.copyMemory(from: source, byteCount: plain.count)
        case .lz4:
            let written = LZ4_decompress_safe(from, to, Int32(packed.count), Int32(plain.count))
            guard written == plain.count else { throw damagedPack() }
        case .lz4Preset:
            let preset = PresetDictionary.bytes
            let written = LZ4_decompress_safe_usingDict(
                from, to, Int32(packed.count), Int32(plain.count), preset.baseAddress, Int32(preset.count))
            guard written == plain.count else { throw damagedPack() }
        }
    }

    private static func damagedPack() -> Fault { Fault(.damaged, "pack does not decompress to its length") }
}
