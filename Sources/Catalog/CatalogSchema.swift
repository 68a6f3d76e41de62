// The tables of catalog.db, version 2, and how version 1 becomes it. docs/format/catalog.md says what every
// column means.

enum CatalogSchema {
    static let formatVersion = 2
    /// Version 2 added plans, the audit chain, receipts, documents, tallies and what is gone of segments.
    static let versionOfLifecycle = 2
    static let pageBytes = 4096
    /// "EvSt": the application id in SQLite's header.
    static let applicationID = 0x4576_5374

    /// `settings` is written once; `state` is one row that every commit rewrites. The texts are short, because all of
    /// them are to fit SQLite's first page: each page more is 4 KiB of a small store.
    static let tables =
        [
            """
            CREATE TABLE settings (
              one INTEGER PRIMARY KEY, format_version INT NOT NULL, store_id BLOB NOT NULL,
              incarnation INT NOT NULL, partition INT NOT NULL, shared_by_entities_min INT NOT NULL,
              default_plan TEXT NOT NULL, created_ms INT NOT NULL)
            """,
            """
            CREATE TABLE state (
              one INTEGER PRIMARY KEY, next_sequence INT NOT NULL, keyring_generation INT NOT NULL,
              changes INT NOT NULL, segment_changes INT NOT NULL, name_changes INT NOT NULL,
              next_segment INT NOT NULL)
            """,
            """
            CREATE TABLE entity (
              number INTEGER PRIMARY KEY, key_id INT NOT NULL, sealed_name BLOB NOT NULL, tag BLOB NOT NULL,
              created_ms INT NOT NULL, plan TEXT NOT NULL, state INT NOT NULL, floor_ms INT NOT NULL,
              days INT NOT NULL DEFAULT 0, erase_at_ms INT NOT NULL DEFAULT 0)
            """,
            "CREATE UNIQUE INDEX entity_tag ON entity (tag)",
            """
            CREATE TABLE name (
              kind INT, number INT, tag BLOB NOT NULL, shared BLOB,
              PRIMARY KEY (kind, number)) WITHOUT ROWID
            """,
            "CREATE UNIQUE INDEX name_tag ON name (kind, tag)",
            """
            CREATE TABLE holder (
              kind INT, name INT, entity INT, sealed BLOB NOT NULL,
              PRIMARY KEY (kind, name, entity)) WITHOUT ROWID
            """,
            """
            CREATE TABLE journal (
              first_sequence INTEGER PRIMARY KEY, rows INT NOT NULL, received_ms INT NOT NULL,
              blob BLOB NOT NULL)
            """,
            """
            CREATE TABLE batch (
              scope INT, tag BLOB, body_hash BLOB NOT NULL, received_ms INT NOT NULL,
              answer BLOB NOT NULL, PRIMARY KEY (scope, tag)) WITHOUT ROWID
            """,
            "CREATE INDEX batch_received ON batch (received_ms)",
            """
            CREATE TABLE segment (
              number INTEGER PRIMARY KEY, id BLOB NOT NULL, partition_start INT NOT NULL,
              partition_ms INT NOT NULL, rows INT NOT NULL, file_bytes INT NOT NULL,
              min_time INT NOT NULL, max_time INT NOT NULL, sequence_base INT NOT NULL,
              min_sequence INT NOT NULL, max_sequence INT NOT NULL, level INT NOT NULL,
              state INT NOT NULL, retention_days INT NOT NULL, types BLOB NOT NULL, attributes BLOB NOT NULL)
            """,
            """
            CREATE TABLE segment_entity (
              segment INT, entity INT, part BLOB NOT NULL,
              PRIMARY KEY (segment, entity)) WITHOUT ROWID
            """,
            "CREATE INDEX entity_segment ON segment_entity (entity, segment)",
            """
            CREATE TABLE entity_day (
              day INT, entity INT, rows INT NOT NULL,
              PRIMARY KEY (day, entity)) WITHOUT ROWID
            """,
            """
            CREATE TABLE type_day (
              day INT, type INT, rows INT NOT NULL,
              PRIMARY KEY (day, type)) WITHOUT ROWID
            """,
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value INT NOT NULL) WITHOUT ROWID",
        ] + lifecycleTables

    /// What version 1 did not have.
    static let lifecycleTables =
        [
            "CREATE TABLE plan (name TEXT PRIMARY KEY, days INT NOT NULL) WITHOUT ROWID",
            """
            CREATE TABLE audit (
              number INTEGER PRIMARY KEY, time_ms INT NOT NULL, body BLOB NOT NULL, mac BLOB NOT NULL)
            """,
            """
            CREATE TABLE receipt (
              number INTEGER PRIMARY KEY, entity INT NOT NULL, time_ms INT NOT NULL, body BLOB NOT NULL,
              signature BLOB NOT NULL)
            """,
            "CREATE TABLE document (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
            """
            CREATE TABLE tally (
              entity INTEGER PRIMARY KEY, last_event_ms INT NOT NULL, last_received_ms INT NOT NULL,
              refused INT NOT NULL, expired INT NOT NULL)
            """,
            """
            CREATE TABLE gone (
              segment INT, entity INT, rows INT NOT NULL, ranges BLOB NOT NULL,
              freed INT NOT NULL, PRIMARY KEY (segment, entity)) WITHOUT ROWID
            """,
        ]

    /// What few stores need; made by the first commit that has something for it, so that a small store is small. Also in
    /// catalogs of version 2 from before they existed.
    static let later: [(name: String, tables: [String])] = [
        ("part_key", keyTables), ("arrived", [arrived]), ("segment_day", [segmentDays]),
    ]

    /// Without them, as without rows in them, every part has its entity's key.
    static let keyTables = [
        """
        CREATE TABLE retired_key (
          key_id INTEGER PRIMARY KEY, entity INT NOT NULL, generation INT NOT NULL,
          retired_ms INT NOT NULL, destroyed_ms INT NOT NULL)
        """,
        """
        CREATE TABLE part_key (
          segment INT, entity INT, key_id INT NOT NULL,
          PRIMARY KEY (segment, entity)) WITHOUT ROWID
        """,
        "CREATE INDEX part_key_key ON part_key (key_id)",
    ]

    /// Written only where a day's budget is set.
    static let arrived = """
        CREATE TABLE IF NOT EXISTS arrived (
          entity INTEGER PRIMARY KEY, day INT NOT NULL, events INT NOT NULL, bytes INT NOT NULL)
        """

    /// Only of segments of partitions longer than a day; without a row the days are counted from the events' times.
    static let segmentDays = """
        CREATE TABLE IF NOT EXISTS segment_day (segment INTEGER PRIMARY KEY, days BLOB NOT NULL)
        """

    /// Version 1 to version 2, within the transaction of the caller.
    static let upgradeFromFirst =
        [
            "ALTER TABLE entity ADD COLUMN days INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE entity ADD COLUMN erase_at_ms INTEGER NOT NULL DEFAULT 0",
        ] + lifecycleTables
}
