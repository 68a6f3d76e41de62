// A program to copy: opens a store (or makes one), appends, reads, counts, asks, follows.
//
//   swift run QuickStart /tmp/quickstart
//
// The key is a file of 32 random bytes; here it is made beside the store at the first run.

import EventStore
import Foundation

@main
struct QuickStart {
    static func main() async throws {
        let path = CommandLine.arguments.dropFirst().first ?? NSTemporaryDirectory() + "quickstart"
        let keyPath = path + ".key"

        // 1. Make a store once, open it ever after.
        let store: EventStore
        if FileManager.default.fileExists(atPath: path) {
            store = try await EventStore.open(at: path, key: .keyFile(keyPath))
        } else {
            let key = Data((0..<32).map { _ in UInt8.random(in: .min ... .max) })
            let isMade = FileManager.default.createFile(
                atPath: keyPath, contents: key, attributes: [.posixPermissions: 0o600])
            guard isMade else { throw CocoaError(.fileWriteNoPermission) }
            store = try await EventStore.create(at: path, key: .keyFile(keyPath))
        }

        // 2. Append. When this returns, the events survive a power cut. An event's `id` makes sending it
        //    again harmless; so does a `batchID` for the whole call.
        let report = try await store.append([
            Event(
                entity: "shop.example", type: "http.request", date: .now, id: UUID(),
                attributes: ["path": "/cart/", "status": 200, "duration_ms": 12.5, "logged_in": true]),
            Event(
                entity: "shop.example", type: "auth.attempt", date: .now, id: UUID(),
                attributes: ["result": "wrong_password", "ip_anon": "192.0.2.0"]),
        ])
        print("stored \(report.stored), duplicates \(report.duplicates), refused \(report.refused)")

        // 3. Ask: filters are ANDed; events come newest first, streamed.
        let slow = EventFilter(
            entities: ["shop.example"], types: ["http.request"],
            conditions: [.init("duration_ms", .greaterOrEqual, 10)])
        for try await event in store.events(slow, limit: 3) {
            print(event.date, event.type, event.attributes["path"] ?? "–")
        }

        // 4. Count: by type, entity or day.
        for row in try await store.counts(by: .type) { print(row.key, row.count) }

        // 5. Anything else: in SQL, or put together in Swift.
        let errors = "SELECT path, count(*) AS n FROM events WHERE status < :most GROUP BY path ORDER BY n DESC"
        for row in try await store.query(errors, parameters: ["most": .integer(500)]).rows().rows { print(row) }
        let slowest = EventQuery.select(.entity, .quantile(.attribute("duration_ms"), 0.95).as("p95"))
            .where(.type == "http.request").groupBy(.entity).orderBy(.column("p95"), .descending).limit(10)
        for try await batch in store.query(slowest) {
            for row in 0..<batch.count { print(batch[row, 0], batch[row, 1]) }
        }

        // 6. Follow: new events in order of commit, without gaps or repeats. Here from the beginning, and
        //    only as many as are there already; a service would go on for ever.
        var left = try await store.stats().events
        for try await event in store.tail(from: .sequence(0)) {
            print("#\(event.sequence)", event.entity, event.type)
            left -= 1
            if left == 0 { break }
        }

        // 7. Close: what is only in the journal is kept there, and the writer's lock is let go.
        try await store.close()
    }
}
