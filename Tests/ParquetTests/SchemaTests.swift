// What a schema refuses before anything is written.

import EventStoreCore
import EventStoreParquet
import Testing

struct SchemaTests {
    @Test func refusesTwoColumnsOfOneName() {
        #expect(throws: Fault.self) { try ParquetSchema([ParquetColumn("a", .integer), ParquetColumn("a", .string)]) }
    }

    @Test func refusesTooManyColumns() {
        let columns = (0...Limits.parquetColumnsMax).map { ParquetColumn("c\($0)", .bool) }
        #expect(throws: Fault.self) { try ParquetSchema(columns) }
    }
}
