/**
 * Opens the collector's SQLite file: for writing (the one collector of a data directory) or for reading beside it. Refuses
 * a file that is damaged, not hullguard's or of a later version, and a second writer. Never repairs, never deletes.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { makeDirectory } from '../export/directory.js'
import { errnoOf, HullguardError, messageOf } from '../telemetry/errors.js'

export type Db = Database.Database

/** "HGst": marks the file as hullguard's store. */
const APPLICATION_ID = 0x48477374
const SCHEMA_VERSION = 1

const SCHEMA = `
CREATE TABLE agents(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last_seen_ns INTEGER NOT NULL);
-- High-water mark and end of the hash chain of each lane.
CREATE TABLE marks(agent INTEGER, epoch INTEGER, lane INTEGER, seq INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY(agent, epoch, lane)) WITHOUT ROWID;
-- One row a batch; ids are never used again, so that they order what was stored.
CREATE TABLE batches(id INTEGER PRIMARY KEY AUTOINCREMENT, agent INTEGER NOT NULL, epoch INTEGER NOT NULL,
  lane INTEGER NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL, count INTEGER NOT NULL,
  min_time_ns INTEGER NOT NULL, max_time_ns INTEGER NOT NULL, kinds INTEGER NOT NULL,
  prev_hash BLOB, hash BLOB, payload BLOB NOT NULL);
CREATE UNIQUE INDEX batches_key ON batches(agent, epoch, lane, first_seq);
CREATE INDEX batches_min ON batches(min_time_ns);
CREATE INDEX batches_max ON batches(max_time_ns);
CREATE TABLE containers(id INTEGER PRIMARY KEY, cid TEXT NOT NULL, name TEXT NOT NULL, UNIQUE(cid, name));
CREATE INDEX containers_name ON containers(name);
CREATE TABLE rules(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- Index of records: those of one batch that are alike in container, kind and rule, with their positions in the batch
-- (differences as varints; empty: all).
CREATE TABLE entries(batch INTEGER, container INTEGER, kind INTEGER, rule INTEGER, positions BLOB NOT NULL,
  PRIMARY KEY(batch, container, kind, rule)) WITHOUT ROWID;
CREATE INDEX entries_container ON entries(container, batch);
CREATE INDEX entries_rule ON entries(rule, batch) WHERE rule <> 0;
-- Numbers that never came, each shown by a gap record until its batch comes after all.
CREATE TABLE holes(agent INTEGER, epoch INTEGER, lane INTEGER, first_seq INTEGER, last_seq INTEGER NOT NULL,
  batch INTEGER NOT NULL, PRIMARY KEY(agent, epoch, lane, first_seq)) WITHOUT ROWID;
`

function storeDir(dataDir: string): string {
  return join(dataDir, 'store')
}

export function storePath(dataDir: string): string {
  return join(storeDir(dataDir), 'records.db')
}

export interface WritableStore {
  db: Db
  /** Gives the data directory back. */
  unlock(): void
}

/** Throws data_dir_unusable, store_in_use or store_unusable. */
export function openWritable(dataDir: string): WritableStore {
  const dir = storeDir(dataDir)
  try {
    makeDirectory(dir)
  } catch (error) {
    throw new HullguardError('data_dir_unusable', `${dir}: ${messageOf(error)}`, { cause: error })
  }
  const unlock = lock(dir)
  try {
    return { db: openDatabase(dataDir), unlock }
  } catch (error) {
    unlock()
    throw error
  }
}

/** Throws store_missing, store_unusable or data_dir_unusable. */
export function openReadOnly(dataDir: string): Db {
  const path = storePath(dataDir)
  try {
    statSync(path)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR')
      throw new HullguardError('store_missing', `${dataDir} holds no store`)
    const what = errno === 'EACCES' ? `${dataDir} may not be read by this user` : `${dataDir}: ${messageOf(error)}`
    throw new HullguardError('data_dir_unusable', what, { cause: error })
  }
  return guarded(path, () => {
    const db = new Database(path, { readonly: true, timeout: 5000 })
    return checked(path, db, () => {
      checkOwner(path, db)
      db.pragma('cache_size = -8000')
    })
  })
}

/** SQLite's own lock on a file of its own: it goes with the process, however that ends. */
function lock(dir: string): () => void {
  const path = join(dir, 'lock.db')
  try {
    const db = new Database(path, { timeout: 0 })
    try {
      db.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      db.close()
      throw error
    }
    return () => db.close()
  } catch (error) {
    if (sqliteCode(error)?.startsWith('SQLITE_BUSY')) {
      throw new HullguardError('store_in_use', `${dir} is in use by another collector`)
    }
    const isDamaged = /^SQLITE_(NOTADB|CORRUPT)/.test(sqliteCode(error) ?? '')
    throw new HullguardError(isDamaged ? 'store_unusable' : 'data_dir_unusable', `${path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function openDatabase(dataDir: string): Db {
  const path = storePath(dataDir)
  return guarded(path, () => {
    const db = new Database(path, { timeout: 5000 })
    return checked(path, db, () => {
      const isNew = db.pragma('page_count', { simple: true }) === 0
      if (isNew) {
        db.pragma('page_size = 8192')
        db.pragma('auto_vacuum = INCREMENTAL')
        // Before the schema: the page size of a WAL file cannot be changed.
        db.pragma('journal_mode = WAL')
        db.transaction(() => {
          db.pragma(`application_id = ${APPLICATION_ID}`)
          db.pragma(`user_version = ${SCHEMA_VERSION}`)
          db.exec(SCHEMA)
        })()
      } else {
        checkOwner(path, db)
        db.pragma('journal_mode = WAL')
      }
      db.pragma('synchronous = FULL')
      db.pragma('cache_size = -16000')
      // 32 MiB of log between checkpoints: each costs two syncs and writes a page once, however often it changed.
      db.pragma('wal_autocheckpoint = 4096')
    })
  })
}

function checkOwner(path: string, db: Db): void {
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) {
    throw new HullguardError('store_unusable', `${path} is an SQLite file, but not hullguard's`)
  }
  const version = db.pragma('user_version', { simple: true })
  if (version !== SCHEMA_VERSION) {
    throw new HullguardError('store_unusable', `${path} has version ${String(version)}, expected ${SCHEMA_VERSION}`)
  }
  const problems = db.prepare('SELECT count(*) AS count FROM sqlite_schema').get()
  if (problems === undefined) throw new HullguardError('store_unusable', `${path} is damaged`)
}

function checked(path: string, db: Db, step: () => void): Db {
  try {
    step()
    return db
  } catch (error) {
    db.close()
    throw error instanceof HullguardError ? error : unusable(path, error)
  }
}

function guarded(path: string, step: () => Db): Db {
  try {
    return step()
  } catch (error) {
    throw error instanceof HullguardError ? error : unusable(path, error)
  }
}

function unusable(path: string, error: unknown): HullguardError {
  return new HullguardError('store_unusable', `${path}: ${messageOf(error)}`, { cause: error })
}

/** `SQLITE_FULL`, `SQLITE_CORRUPT`, … */
export function sqliteCode(error: unknown): string | undefined {
  return error instanceof Database.SqliteError ? error.code : undefined
}
