//! Accounts at their limit.

use std::collections::BTreeMap;

use super::Store;
use crate::when::Ms;

impl Store {
    /// Account → (until, why), of the limits still in force.
    pub fn limits(&self, now: Ms) -> anyhow::Result<BTreeMap<String, (Ms, String)>> {
        let mut s =
            self.db.prepare("select account, until, reason from limits where until > ?1")?;
        let rows = s.query_map([now], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
