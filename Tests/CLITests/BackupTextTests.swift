/// What `backup` and `restore` print, and how they read lengths of time.

import EventStore
import EventStoreCLI
import Foundation
import Testing

@Suite struct BackupTextTests {
    @Test func lengthsOfTime() throws {
        #expect(try BackupText.duration("7d") == 7 * 86_400_000)
        #expect(try BackupText.duration("0d") == 0)
        #expect(try BackupText.duration("12h") == 12 * 3_600_000)
        #expect(try BackupText.duration("30m") == 30 * 60_000)
        for text in ["", "7", "d", "-1d", "7 d", "1.5d", "99999999999999999999d", "7w"] {
            #expect(throws: (any Error).self) { try BackupText.duration(text) }
        }
    }

    @Test func theLinesAreJSON() throws {
        var backup = BackupReport()
        backup.directory = "/a \"b\""
        backup.isVerified = true
        backup.nextSequence = 1 << 62
        var restore = RestoreReport()
        restore.entitiesUnreadable = [3, 4]
        for line in [BackupText.line(backup), BackupText.line(restore)] {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            #expect(object?["nextSequence"] != nil && !line.contains("\n"))
        }
        backup.problems = ["x"]
        #expect(BackupText.line(backup).contains("\"verified\":false"))
    }
}
