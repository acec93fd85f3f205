//! The one durable file: domain verbs over SQLite, one verb a transaction.

mod attempt;
mod event;
mod limit;
mod list;
mod session;
mod task;

pub use attempt::{Claim, Claimed, LEASE, Open, OpenAttempt, Start, Started};
pub use event::{Line, Standing};
pub use list::{EventFilter, TaskFilter};
pub use session::Seen;
pub use task::{Candidates, Enqueued, Record};

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rustix::fs::{FlockOperation, flock};

use crate::proc;

/// In migration order; `user_version` counts them. A released one is never edited.
const MIGRATIONS: &[&str] = &[include_str!("1.sql")];

/// "orch" in ASCII: tells this file from any other SQLite database.
const APPLICATION_ID: i32 = 0x6f72_6368;

/// Below this the WAL-reset bug can lose a commit (sqlite.org/wal.html).
const SQLITE_FLOOR: i32 = 3_051_003;

/// Pages in the WAL before a commit moves them into the database file, and, unless somebody is alone, starts the WAL over.
const CHECKPOINT_PAGES: i32 = 256;

/// Another process held the database for as long as a writer waits: exit 75 (EX_TEMPFAIL), try again.
#[derive(Debug)]
pub struct Busy(pub String);

impl Busy {
    fn now() -> Busy {
        Busy(format!("database busy for {} s: try again", PATIENCE.get().as_secs()))
    }
}

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Busy {}

/// Bytes in the WAL before the last connection to close moves them into the database file. Whoever opens it alone reads all
/// of the WAL first, and then appends: without this it would only ever grow.
const CHECKPOINT_AT_CLOSE: u64 = 256 * 1024;

pub struct Store {
    db: Connection,
    path: PathBuf,
    lock: File,
}

pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// The schema as documented, in migration order.
pub fn schema() -> String {
    MIGRATIONS.concat()
}

/// `--db`, else `$ORCH_DB`, else `$XDG_STATE_HOME/orch/orch.db`; absolute.
pub fn path(option: Option<&Path>) -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let absolute = |name: &str| set(name).filter(|p| p.is_absolute());
    let path = match option.map(Path::to_owned).or_else(|| set("ORCH_DB")) {
        Some(p) => p,
        None => absolute("XDG_STATE_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".local/state")))
            .context("no database: give --db FILE, or set ORCH_DB or HOME")?
            .join("orch/orch.db"),
    };
    std::path::absolute(&path).with_context(|| path.display().to_string())
}

impl Store {
    /// Opens the database, made anew if there is none.
    pub fn open(option: Option<&Path>) -> anyhow::Result<Store> {
        let path = path(option)?;
        if !path.try_exists().with_context(|| path.display().to_string())? {
            create(&path)?;
        }
        Store::connect(path)
    }

    /// Opens the database that is there; `None` where there is none.
    pub fn open_existing(option: Option<&Path>) -> anyhow::Result<Option<Store>> {
        let path = path(option)?;
        match path.try_exists() {
            Ok(true) => Store::connect(path).map(Some),
            Ok(false) => Ok(None),
            Err(e) => Err(e).with_context(|| path.display().to_string()),
        }
    }

    /// Opens the database that is there, or says that there is none yet.
    pub fn open_there(option: Option<&Path>) -> anyhow::Result<Store> {
        let none = || {
            path(option).map(|p| format!("{}: no database yet: orch-enqueue makes it", p.display()))
        };
        Store::open_existing(option)?.map_or_else(|| none().and_then(|text| bail!(text)), Ok)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn connect(path: PathBuf) -> anyhow::Result<Store> {
        let name = || path.display().to_string();
        if rusqlite::version_number() < SQLITE_FLOOR {
            bail!("SQLite {}: at least 3.51.3 is needed", rusqlite::version());
        }
        let mut db = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(busy)
        .with_context(name)?;
        db.busy_handler(Some(wait_a_little))?;
        let version = check(&db).map_err(busy).with_context(name)?;
        let lock = lock_file(&path)?;
        let mut store = Store { db, path, lock };
        if version < MIGRATIONS.len() as i32 {
            store.migrate().map_err(busy).with_context(|| store.path.display().to_string())?;
        }
        Ok(store)
    }

    fn migrate(&mut self) -> anyhow::Result<()> {
        let _turn = Turn::take(&self.lock)?;
        // another process may have made it meanwhile; another program's file is left as it is
        let version: i32 = self.db.query_row("pragma user_version", [], |r| r.get(0))?;
        let tables: i64 =
            self.db.query_row("select count(*) from sqlite_master", [], |r| r.get(0))?;
        if version == 0 && tables != 0 {
            bail!("not an orch database");
        }
        // set once, here, under the lock: two that set it at the same instant fail
        let mode: String = self.db.query_row("pragma journal_mode = wal", [], |r| r.get(0))?;
        if mode != "wal" {
            bail!("write-ahead logging is not to be had here (a network file system?)");
        }
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for sql in MIGRATIONS.iter().skip(version as usize) {
            tx.execute_batch(sql)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", MIGRATIONS.len() as i32)?;
        tx.commit()?;
        self.db.execute_batch("pragma wal_checkpoint(truncate)")?;
        Ok(())
    }

    /// One writing transaction in this process's turn; it is committed if `work` succeeds.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let _turn = Turn::take(&self.lock)?;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(busy)?;
        let value = work(&tx)?;
        tx.commit().map_err(busy)?;
        Ok(value)
    }

    /// Changes whenever another connection commits (1.8 µs to ask).
    pub fn data_version(&self) -> anyhow::Result<i64> {
        Ok(self.db.query_row("pragma data_version", [], |r| r.get(0))?)
    }

    /// Notes the instant of a named fact.
    pub fn note_fact(&mut self, name: &str, now: i64) -> anyhow::Result<()> {
        self.write(|tx| {
            tx.execute(
                "insert into facts (name, at) values (?1, ?2) on conflict do update set at = ?2",
                (name, now),
            )?;
            Ok(())
        })
    }

    pub fn fact(&self, name: &str) -> anyhow::Result<Option<i64>> {
        use rusqlite::OptionalExtension;
        Ok(self
            .db
            .query_row("select at from facts where name = ?1", [name], |r| r.get(0))
            .optional()?)
    }
}

/// Refuses what is not ours or too new; sets what holds for one connection. Returns the schema's version.
fn check(db: &Connection) -> anyhow::Result<i32> {
    let id: i32 = db.query_row("pragma application_id", [], |r| r.get(0))?;
    let version: i32 = db.query_row("pragma user_version", [], |r| r.get(0))?;
    if version > MIGRATIONS.len() as i32 {
        bail!("made by a newer orch (schema {version}): upgrade the programs");
    }
    if id != APPLICATION_ID && (id != 0 || version != 0) {
        bail!("not an orch database");
    }
    db.execute_batch("pragma synchronous = full; pragma foreign_keys = on")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // a last connection that checkpoints at close would pay two more syncs for every short program
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(version)
}

impl Drop for Store {
    fn drop(&mut self) {
        let mut wal = self.path.as_os_str().to_owned();
        wal.push("-wal");
        if std::fs::metadata(&wal).is_ok_and(|m| m.len() > CHECKPOINT_AT_CLOSE) {
            // should it fail, the next to close will do it
            let _ = self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        }
    }
}

/// A writer's turn: the lock on `<db>.lock`, held for one transaction.
struct Turn<'a>(&'a File);

impl Turn<'_> {
    fn take(lock: &File) -> anyhow::Result<Turn<'_>> {
        let begun = Instant::now();
        loop {
            match flock(lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Turn(lock)),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR)
                    if begun.elapsed() < PATIENCE.get() =>
                {
                    std::thread::sleep(Duration::from_micros(500));
                }
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                    return Err(Busy::now().into());
                }
                Err(e) => return Err(std::io::Error::from(e)).context("lock"),
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

thread_local! {
    static WAIT_BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
    static PATIENCE: Cell<Duration> = const { Cell::new(Duration::from_secs(10)) };
}

/// Sets how long this thread's writers wait for their turn before they say "busy", 10 s if nothing is said.
pub fn set_patience(patience: Duration) {
    PATIENCE.set(patience);
}

/// SQLite's busy handler: constant short sleeps to a wall-clock deadline. A count of tries would be none.
fn wait_a_little(tries: i32) -> bool {
    let began = WAIT_BEGAN.with(|w| {
        if tries == 0 {
            w.set(Some(Instant::now()));
        }
        w.get().unwrap_or_else(Instant::now)
    });
    std::thread::sleep(Duration::from_millis(1));
    began.elapsed() < PATIENCE.get()
}

fn busy(e: impl Into<anyhow::Error>) -> anyhow::Error {
    let e = e.into();
    let code = e.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    match code {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            Busy::now().into()
        }
        _ => e,
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn lock_file(path: &Path) -> anyhow::Result<File> {
    let lock = lock_path(path);
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock)
        .with_context(|| lock.display().to_string())
}

/// Makes the directory (0700) and an empty file (0600) before SQLite would make it readable for others.
fn create(path: &Path) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| dir.display().to_string())?;
        if let Some(kind) = proc::network_file_system(dir) {
            bail!(
                "{}: on {kind}, where the database would not be safe: give --db a local path",
                dir.display()
            );
        }
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e).with_context(|| path.display().to_string()),
    }
}

/// The n-th column as something that is spelled in the database.
fn spelled<T: std::str::FromStr>(r: &rusqlite::Row, n: &str) -> rusqlite::Result<T> {
    let text: String = r.get(n)?;
    text.parse().map_err(|_| {
        rusqlite::Error::FromSqlConversionFailure(
            0,
            rusqlite::types::Type::Text,
            format!("{n}: '{text}'").into(),
        )
    })
}
