//! Takes text out of a live client's composer again, where it is provably ours: the screen is read before every key.

use std::time::Duration;

use super::sync;
use crate::config::Config;
use crate::session::Session;
use crate::store::Seen;
use crate::tmux::Tmux;
use crate::when::Ms;

/// Some take out a line at a time.
const KEYS: usize = 100;
/// For the client to draw what a key did.
const SETTLE: Duration = Duration::from_millis(30);

/// What stands in the composer then.
pub enum Wiped {
    /// Nothing; whether that is our doing.
    Empty {
        by_us: bool,
        seen: Box<Seen>,
    },
    /// What is not ours, or what somebody at the pane has in hand: left alone.
    Left,
    /// It takes no keys, or they do nothing.
    Stands,
    Gone,
}

/// `same`: whether it is still the client that the text was typed into. `touched`: when somebody at the pane pressed a key
/// last, as it was then.
pub fn wipe(
    config: &Config,
    session: &Session,
    tmux: &Tmux,
    same: &dyn Fn(&Seen) -> bool,
    touched: Option<Ms>,
    ours: &dyn Fn(&str) -> bool,
) -> Wiped {
    let mut by_us = false;
    for _ in 0..KEYS {
        let seen = sync::glance(session, config).ok().flatten();
        let Some(seen) = seen.filter(|s| same(s)) else {
            return Wiped::Gone;
        };
        match seen.composer.as_deref() {
            Some("") => return Wiped::Empty { by_us, seen: Box::new(seen) },
            Some(c) if ours(c) && seen.touched == touched => {
                if !tmux.press(&session.incarnation, "C-u").is_ok_and(|done| done) {
                    return Wiped::Stands;
                }
                by_us = true;
                std::thread::sleep(SETTLE);
            }
            _ => return Wiped::Left,
        }
    }
    Wiped::Stands
}
