import EventStoreCore
package struct InputDescription: Sendable {
    package var format: InputFormat
    package var csvHeader: [UInt8]
}
