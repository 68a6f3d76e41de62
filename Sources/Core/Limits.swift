/// Every limit of the store, checked on write and again on decode. Nothing else in the tree repeats
/// one of these numbers.
package enum Limits {
    package static let entityNameBytesMax = 200
    package static let typeNameBytesMax = 100
    package static let attributeNameBytesMax = 200
    package static let attributesPerEventMax = 256
    package static let attributeNamesPerEntityMax = 2_000
    package static let namesPerStoreMax = 50_000
    package static let valueBytesMax = 64 * 1024
    package static let eventBytesMax = 256 * 1024
    /// A line longer than this is refused without being looked at.
    package static let lineBytesMax = 1024 * 1024
    package static let jsonDepthMax = 64
    /// An event later than now plus this is refused.
    package static let futureMsMax: Int64 = 24 * 3600 * 1000

    /// 0001-01-01T00:00:00Z; an event before it is refused.
    package static let timestampMsMin: Int64 = -62_135_596_800_000

    package static let blockRowsMax = 65_536
    package static let segmentRowsMax = 4 << 20
    package static let entitiesPerSegmentMax = 1 << 20
    package static let packRawBytesMax = 16 << 20
    package static let packTargetBytes = 16 * 1024
    package static let vocabularyEntriesMax = 65_535
    package static let shapesPerBlockMax = 65_535

    // Parquet files: what is written keeps far below; what is read is refused beyond.
    package static let parquetColumnsMax = 65_536
    package static let parquetRowGroupRowsMax = 1 << 28
    package static let parquetFooterBytesMax = 256 << 20
    package static let parquetPageHeaderBytesMax = 1 << 20
    package static let parquetPageBytesMax = 256 << 20
    /// Pages and dictionaries that a reader holds at one time, over all columns.
    package static let parquetReaderBytesMax = 1 << 30
    /// Of a collection policy: bytes of its document, and rules by name in it.
    package static let policyBytesMax = 256 * 1024
    package static let policyRulesMax = 10_000

    package static let msPerDay: Int64 = 86_400_000
}
