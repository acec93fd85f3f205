//! Hands a claimed attempt to a live client: its composer is seen to be empty, the text is seen in it before Enter, and
//! the turn is seen to begin. What was not seen is said to be unknown, and never sent again on a guess.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::deliver::Handed;
use crate::agent::menu::Menu;
use crate::agent::rules::{Live, Reader, holds, same, starts};
use crate::attempt::Receipt;
use crate::config::Config;
use crate::ctx::answer::{self, Reply};
use crate::ctx::wipe::{self, Wiped};
use crate::ctx::{establish, live, sync};
use crate::proc;
use crate::provider::Profile;
use crate::session::{Condition, Process, Session};
use crate::store::{OpenAttempt, Seen, Store};
use crate::task::{Conversation, Task};
use crate::tmux::Tmux;
use crate::when::{self, Ms};

/// How long a paste may take to show in the composer, and how long Enter may take to begin a turn.
const TO_SHOW: Duration = Duration::from_secs(8);
const TO_BEGIN: Duration = Duration::from_secs(15);
/// How much later than its status a client writes the prompt down.
const TO_WRITE: Duration = Duration::from_secs(3);
/// When an Enter that did nothing was eaten.
const EATEN: Duration = Duration::from_secs(2);
/// How long a client's own command, and a new client, may take.
const TO_OBEY: Duration = Duration::from_secs(5);
const TO_LAUNCH: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(15);
/// Before a key that must not meet a popup that is still to open, or one that is closing.
const SETTLE: Duration = Duration::from_millis(120);

/// One delivery.
struct Delivery<'a> {
    store: &'a mut Store,
    config: &'a Config,
    session: Session,
    profile: &'a Profile,
    live: &'a Live,
    a: &'a OpenAttempt,
    task: &'a Task,
    tmux: Tmux,
    /// The client's own process, as it was seen first: the pane's own may be the shell that it was started from.
    client: Option<Process>,
    /// When somebody at the pane pressed a key last, before the delivery.
    touched: Option<Ms>,
    /// A client that asks whether to trust the task's directory is told yes.
    trust_dir: bool,
}

/// What keeps a delivery from going on, and whether anything of the task was typed.
enum Stop {
    /// Nothing was: why.
    Refused(String),
    /// Something was, and was taken out again: why. The session is left alone for a while.
    InVain(String),
    /// The context is not to be had there: why.
    Context(String),
    /// Bytes went in, nothing tells what became of them: why.
    Doubt(String),
}

/// Before the first byte of the task only.
impl From<anyhow::Error> for Stop {
    fn from(e: anyhow::Error) -> Stop {
        Stop::Refused(format!("{e:#}"))
    }
}

/// Puts the session into the task's context, and the task into its composer.
pub fn hand_over(
    store: &mut Store,
    config: &Config,
    session: &Session,
    (profile, live): (&Profile, &Live),
    a: &OpenAttempt,
    task: &Task,
    trust_dir: bool,
) -> anyhow::Result<Handed> {
    if !store.mark_sending(a, when::now())? {
        return Ok(Handed::Not("the claim was taken back".into()));
    }
    let tmux = Tmux::at(&session.incarnation.socket);
    let session = session.clone();
    let mut d = Delivery {
        store,
        config,
        session,
        profile,
        live,
        a,
        task,
        tmux,
        client: None,
        touched: None,
        trust_dir,
    };
    match d.run() {
        Ok(()) => Ok(Handed::Submitted),
        Err(Stop::Refused(why)) => Ok(Handed::Not(why)),
        Err(Stop::InVain(why)) => Ok(Handed::InVain(why)),
        Err(Stop::Context(why)) => Ok(Handed::NoContext(why)),
        Err(Stop::Doubt(why)) => {
            d.store.doubt(a, &why, when::now())?;
            Ok(Handed::Doubtful(why))
        }
    }
}

impl Delivery<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        let begun = Instant::now();
        let seen = self.first_look()?;
        let (lead, text) = self.live.deliverable(&self.task.content);
        if text.trim().is_empty() {
            // no session will do: it is held once all have said so
            return Err(Stop::Context(
                "nothing is left of the content without its control characters".into(),
            ));
        }
        let lead = lead.unwrap_or_default();
        let (seen, switched) = self.establish(seen)?;
        let switch_ms = switched.then(|| begun.elapsed().as_millis() as i64);
        let record = seen.agent.as_ref().and_then(|a| a.record.clone());
        let from = record.as_ref().and_then(|p| std::fs::metadata(p).ok()).map_or(0, |m| m.len());
        let mut receipt = Receipt {
            transport: "paste".into(),
            sha256: crate::context::hex(&Sha256::digest(text.as_bytes())),
            bytes: text.len(),
            client: self.client.clone(),
            evidence: None,
            record,
            from,
            escaped: None,
            switch_ms,
        };
        if !self.store.mark_pasting(self.a, &receipt, when::now())? {
            return Err(Stop::Refused("the claim was taken back".into()));
        }
        proc::stop_for_test("pasting");
        self.put(&lead, &text, &receipt)?;
        proc::stop_for_test("pasted");
        self.send(&receipt, &text, &lead)?;
        proc::stop_for_test("entered");
        self.confirm(&mut receipt, &text, &lead)
    }

    /// The text into the composer, and seen there.
    fn put(&self, lead: &str, text: &str, receipt: &Receipt) -> Result<(), Stop> {
        let to = &self.session.incarnation;
        // the database may have kept us waiting: the last look comes right before the first byte
        let now = self.ready()?;
        if now.touched != self.touched {
            return Err(Stop::Refused("somebody came to the pane".into()));
        }
        let ours = |c: &str| self.live.shows(c, lead, text);
        if !lead.is_empty() {
            self.type_text(lead)?;
            if !self.await_composer(|c| same(c, lead)) {
                return Err(self.take_back(
                    &|c| starts(lead, c),
                    None,
                    "the lead-in does not show",
                ));
            }
        }
        // a server that is lost now leaves bytes of which nobody knows
        match self.tmux.paste(to, text) {
            Ok(true) => {}
            Ok(false) if lead.is_empty() => {
                return Err(Stop::Refused("the pane takes no input now".into()));
            }
            Ok(false) => {
                let why = "the pane took no paste any more";
                return Err(self.take_back(&|c| starts(lead, c), None, why));
            }
            Err(e) => return Err(Stop::Doubt(format!("while it was pasted: {e:#}"))),
        }
        if self.await_composer(ours) {
            return Ok(());
        }
        let whole = format!("{lead}{text}");
        let ours = |c: &str| self.live.shows(c, lead, text) || starts(&whole, c);
        let why = "the pasted text does not show in its composer as it was pasted";
        Err(self.take_back(&ours, Some((receipt, lead, text)), why))
    }

    /// Types a line that is not the task's own words.
    fn type_text(&self, line: &str) -> Result<(), Stop> {
        match self.tmux.type_text(&self.session.incarnation, line) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stop::Refused("the pane takes no input now".into())),
            Err(e) => Err(Stop::InVain(format!("{line:?} may stand in its composer: {e:#}"))),
        }
    }

    /// Enter, on what was just seen in the composer; it is taken out again where that is not to be.
    fn send(&mut self, receipt: &Receipt, text: &str, lead: &str) -> Result<(), Stop> {
        let may = self.store.may_send(self.a, when::now());
        let ours = |c: &str| self.live.shows(c, lead, text);
        let back = |why: &str| self.take_back(&ours, Some((receipt, lead, text)), why);
        match may {
            Ok(true) => self.enter(&ours).map_err(|why| back(&why)),
            Ok(false) => Err(match back("it was cancelled") {
                Stop::InVain(why) => Stop::Refused(why),
                stop => stop,
            }),
            Err(e) => Err(back(&format!("{e:#}"))),
        }
    }

    fn await_composer(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.await_seen(TO_SHOW, |s| s.composer.as_deref().is_some_and(&holds)).is_ok()
    }

    /// Enter, if this very moment nothing but our own words stands in the composer and nobody came to the pane.
    fn enter(&self, ours: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let text = |e: anyhow::Error| format!("{e:#}");
        let seen = sync::glance(&self.session, self.config).map_err(text)?;
        let seen = seen.filter(|s| self.is_the_one(s)).ok_or("the client is gone")?;
        if seen.touched != self.touched {
            return Err("somebody came to the pane".into());
        }
        if !seen.composer.as_deref().is_some_and(ours) {
            return Err("something else stands in the composer".into());
        }
        match self.tmux.press(&self.session.incarnation, "Enter") {
            Ok(true) => Ok(()),
            Ok(false) => Err("the pane takes no input now".into()),
            Err(e) => Err(text(e)),
        }
    }

    /// The client and the pane as they are when the delivery begins: they have to stay so.
    fn first_look(&mut self) -> Result<Seen, Stop> {
        let seen = sync::glance(&self.session, self.config)?;
        let client = seen.as_ref().and_then(|s| s.agent.as_ref());
        let wanted = self.session.agent.as_ref().map(|a| &a.provider);
        let Some(client) = client.filter(|a| Some(&a.provider) == wanted) else {
            return Err(Stop::Refused("the client has ended".into()));
        };
        self.client.clone_from(&client.process);
        if seen.as_ref().is_some_and(|s| s.shell.is_some()) {
            let front = self.tmux.front(&self.session.incarnation.pane_id)?;
            self.tmux = self.tmux.clone().only_while(Some(front));
        }
        let seen = self.ready()?;
        self.touched = seen.touched;
        Ok(seen)
    }

    /// Whether it is the process in the pane, and the client in that, for which the session was claimed.
    fn is_the_one(&self, seen: &Seen) -> bool {
        let client = seen.agent.as_ref().and_then(|a| a.process.as_ref());
        seen.incarnation == self.session.incarnation && client == self.client.as_ref()
    }

    /// The session as it is now, at rest with an empty composer, and the very one that was claimed.
    fn ready(&self) -> Result<Seen, Stop> {
        let refused = |why: String| Stop::Refused(why);
        let seen = sync::glance(&self.session, self.config)?
            .ok_or_else(|| refused("its pane is gone".into()))?;
        if !self.is_the_one(&seen) {
            return Err(refused("another process fills the pane now".into()));
        }
        if !seen.condition.is_at_rest() {
            let why = seen.condition.why().unwrap_or_default();
            return Err(refused(format!("no longer at rest: {} {why}", seen.condition.as_str())));
        }
        Ok(seen)
    }

    /// Directory, branch, conversation: each only where it must change, and then seen to have changed.
    fn establish(&mut self, mut seen: Seen) -> Result<(Seen, bool), Stop> {
        let context = &self.task.context;
        let fresh = self.wants_fresh(&seen)?;
        let mut switched = false;
        if let Some(dir) = &context.working_dir
            && seen.place.working_dir.as_ref() != Some(dir)
        {
            establish::check_place(context, self.config).map_err(Stop::Context)?;
            seen = match &self.live.change_dir {
                Some(command) => self.change_dir(&command.replace("{dir}", dir), dir)?,
                None => self.relaunch(&seen, dir)?,
            };
            switched = true;
        }
        if context.git_branch.is_some() && context.git_branch != seen.place.git_branch {
            establish::place(context, self.config).map_err(Stop::Context)?;
            switched = true;
        }
        if fresh
            && let Some(clear) = &self.live.clear
            && seen.agent.as_ref().is_some_and(|a| a.record.is_some())
        {
            seen = self.clear(clear, &seen)?;
        }
        if switched {
            seen = self.ready()?;
        }
        let other = |t: &Option<String>| t.clone().unwrap_or_else(|| "none".into());
        if context.working_dir.is_some() && seen.place.working_dir != context.working_dir {
            return Err(Stop::Context(format!(
                "the client is in {}",
                other(&seen.place.working_dir)
            )));
        }
        if context.git_branch.is_some() && seen.place.git_branch != context.git_branch {
            return Err(Stop::Context(format!(
                "the client is on branch {}",
                other(&seen.place.git_branch)
            )));
        }
        Ok((seen, switched))
    }

    /// Tasks of one group go on with each other's conversation, and a task with its own that the service cut short,
    /// unless the task says otherwise.
    fn wants_fresh(&self, seen: &Seen) -> Result<bool, Stop> {
        let here = seen.agent.as_ref().and_then(|a| a.session_id.clone());
        let last = self.store.last_conversation(self.session.id, self.a)?;
        let its_own = last.is_some_and(|t| {
            let group = t.group.is_some() && t.group == self.task.group;
            let resumed = t.cut_short && t.task == self.task.id;
            Some(t.agent_session) == here && (group || resumed)
        });
        Ok(match self.task.conversation {
            Some(Conversation::Fresh) => true,
            Some(Conversation::Continue) => false,
            None => !its_own,
        })
    }

    /// A command of the client's own: typed, seen to be typed, sent.
    fn command(&self, command: &str) -> Result<(), Stop> {
        if crate::clean::has_control(command) {
            return Err(Stop::Context("control characters cannot be typed".into()));
        }
        self.type_text(command)?;
        let ours = |c: &str| same(c, command);
        let sent = if self.await_composer(ours) {
            std::thread::sleep(SETTLE);
            self.enter(&ours)
        } else {
            Err("the client's own command does not show in its composer".into())
        };
        sent.map_err(|why| self.take_back(&|c| starts(command, c), None, &why))
    }

    fn change_dir(&mut self, command: &str, dir: &str) -> Result<Seen, Stop> {
        self.command(command)?;
        let there =
            |s: &Seen| s.condition.is_at_rest() && s.place.working_dir.as_deref() == Some(dir);
        let asks = |s: &Seen| matches!(s.condition, Condition::Waiting(_));
        let seen = match self.await_seen(TO_OBEY, |s| there(s) || asks(s)) {
            Ok(s) if asks(&s) && self.trust_dir => {
                self.trust(&self.session, dir)?;
                self.await_seen(TO_OBEY, there)
            }
            other => other,
        };
        match seen {
            Ok(s) if there(&s) => Ok(s),
            Ok(s) => {
                let why = state_of(Some(&s));
                self.dismiss(&asks);
                Err(Stop::Context(format!(
                    "{dir}: the client asks whether to trust it (--trust-dir): {why}"
                )))
            }
            Err(s) => {
                Err(Stop::Context(format!("the client did not go there: {}", state_of(s.as_ref()))))
            }
        }
    }

    /// Says yes to a question that names the task's directory, and to no other.
    fn trust(&self, session: &Session, dir: &str) -> Result<(), Stop> {
        let home = std::env::var("HOME").ok().filter(|h| !h.is_empty());
        let short = home.and_then(|h| Some(format!("~{}", dir.strip_prefix(&h)?)));
        let about = |m: &Menu| {
            holds(&m.question, dir) || short.as_ref().is_some_and(|s| holds(&m.question, s))
        };
        answer::answer(self.config, session, &Reply::Yes, &about)
            .map(drop)
            .map_err(|e| Stop::Context(format!("{e:#}")))
    }

    /// Our own command's dialog is left again, which changes nothing.
    fn dismiss(&self, asks: &impl Fn(&Seen) -> bool) {
        for _ in 0..4 {
            std::thread::sleep(SETTLE);
            let _ = self.tmux.press(&self.session.incarnation, "Escape");
            if self.await_seen(Duration::from_millis(700), |s| !asks(s)).is_ok() {
                return;
            }
        }
    }

    fn clear(&mut self, command: &str, before: &Seen) -> Result<Seen, Stop> {
        let old = before.agent.as_ref().and_then(|a| a.session_id.clone());
        self.command(command)?;
        // some have a new id at once, some only with the next prompt; of the old turns nothing is left on the screen
        let cleared = |s: &Seen| {
            let other = s.agent.as_ref().is_some_and(|a| a.session_id != old);
            s.condition.is_at_rest()
                && s.composer.as_deref() == Some("")
                && (other || s.prompts == 1)
        };
        self.await_seen(TO_OBEY, cleared).map_err(|s| {
            Stop::InVain(format!("no new conversation was begun: {}", state_of(s.as_ref())))
        })
    }

    /// A new client in the directory; the slot stays, what fills it is another process.
    fn relaunch(&mut self, seen: &Seen, dir: &str) -> Result<Seen, Stop> {
        let id = super::uuid()?;
        let argv = self.profile.fill(&self.live.launch, &id);
        if argv.is_empty() {
            return Err(Stop::Context(
                "the client cannot change its directory, and its profile has no launch".into(),
            ));
        }
        if self.task.conversation == Some(Conversation::Continue) {
            let why = "the client cannot change its directory, and a new one would begin another conversation";
            return Err(Stop::Context(why.into()));
        }
        if seen.shell.is_some() {
            let why = "the client cannot change its directory, and the shell that it runs in is not to be ended for that";
            return Err(Stop::Context(why.into()));
        }
        if !self.tmux.respawn(&self.session.incarnation, dir, &argv)? {
            return Err(Stop::Refused("the pane takes no other client now".into()));
        }
        let begun = Instant::now();
        let mut answered = false;
        loop {
            let seen = sync::glance(&self.session, self.config)?;
            if let Some(s) =
                seen.filter(|s| s.incarnation.pane_pid != self.session.incarnation.pane_pid)
            {
                if s.condition.is_at_rest() && s.agent.is_some() {
                    self.session.incarnation = s.incarnation.clone();
                    self.client = s.agent.as_ref().and_then(|a| a.process.clone());
                    self.store.see(&[(self.session.name.clone(), Some(s.clone()))], when::now())?;
                    self.store.refill(self.a, &s.incarnation)?;
                    return Ok(s);
                }
                let asks = matches!(s.condition, Condition::Waiting(_));
                if self.trust_dir && !answered && asks {
                    answered = true;
                    let new = Session { incarnation: s.incarnation, ..self.session.clone() };
                    self.trust(&new, dir)?;
                    continue;
                }
                if begun.elapsed() > TO_LAUNCH || asks {
                    return Err(Stop::Context(format!(
                        "a new client does not come to its prompt: {}",
                        state_of(Some(&s))
                    )));
                }
            } else if begun.elapsed() > TO_LAUNCH {
                return Err(Stop::Context("a new client did not start".into()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Looks until something holds; else what was seen last.
    #[allow(clippy::result_large_err)] // either way it is one look
    fn await_seen(
        &self,
        deadline: Duration,
        holds: impl Fn(&Seen) -> bool,
    ) -> Result<Seen, Option<Seen>> {
        let begun = Instant::now();
        loop {
            let seen = sync::glance(&self.session, self.config).ok().flatten();
            match seen.filter(|s| self.is_the_one(s)) {
                Some(s) if holds(&s) => return Ok(s),
                other if begun.elapsed() > deadline => return Err(other),
                None => return Err(None),
                Some(_) => std::thread::sleep(LOOK),
            }
        }
    }

    /// Text that was typed and must not be sent: taken out again where it is provably ours, else left to a person. `sent`
    /// is what may have been submitted by somebody meanwhile.
    fn take_back(
        &self,
        ours: &dyn Fn(&str) -> bool,
        sent: Option<(&Receipt, &str, &str)>,
        why: &str,
    ) -> Stop {
        let left = |what: &str| {
            let why = format!("{why}; {what}");
            if sent.is_some() { Stop::Doubt(why) } else { Stop::InVain(why) }
        };
        let same = |s: &Seen| self.is_the_one(s);
        match wipe::wipe(self.config, &self.session, &self.tmux, &same, self.touched, ours) {
            // an empty composer that we have not emptied may have been sent
            Wiped::Empty { by_us, seen } => {
                let unsent = match sent {
                    None => seen.condition.is_at_rest(),
                    Some(sent) => by_us && self.stays_unsent(sent),
                };
                if unsent {
                    Stop::InVain(why.into())
                } else {
                    left("it is in the composer no more")
                }
            }
            Wiped::Left => left("what stands in the composer was left alone"),
            Wiped::Stands => left("it stands in the composer and was not sent"),
            Wiped::Gone => left("the client is gone"),
        }
    }

    /// Whether nothing tells, as long as a client may take to write it down, that the text was taken before it was taken out.
    fn stays_unsent(&self, (receipt, lead, text): (&Receipt, &str, &str)) -> bool {
        let taken = |s: &Seen| {
            let record = s.agent.as_ref().and_then(|a| a.record.as_deref());
            let written = record.is_some_and(|p| self.written(p, receipt, lead, text).is_some());
            written || !s.condition.is_at_rest()
        };
        matches!(self.await_seen(TO_WRITE, taken), Err(Some(_)))
    }

    /// Where the client has written down this prompt of ours.
    fn written(&self, record: &str, r: &Receipt, lead: &str, text: &str) -> Option<u64> {
        let from = if r.record.as_deref() == Some(record) { r.from } else { 0 };
        live::has_prompt(record, from, self.a.claimed_at.., lead, text)
    }

    /// The turn is seen to begin: by the client's record of this very text, or by its status.
    fn confirm(&mut self, receipt: &mut Receipt, text: &str, lead: &str) -> Result<(), Stop> {
        let (begun, typed) = (Instant::now(), when::now());
        let mut again = true;
        let mut taken: Option<Instant> = None;
        loop {
            let seen = sync::glance(&self.session, self.config).ok().flatten();
            let Some(seen) = seen.filter(|s| self.is_the_one(s)) else {
                return Err(Stop::Doubt("the client ended right after Enter".into()));
            };
            let ours = |c: &str| self.live.shows(c, lead, text);
            let stands = seen.composer.as_deref().is_some_and(ours);
            let agent = seen.agent.as_ref();
            let id = agent.and_then(|a| a.session_id.clone());
            let record = agent.and_then(|a| a.record.clone());
            let written =
                record.as_ref().and_then(|p| Some((p, self.written(p, receipt, lead, text)?)));
            // a dialog may be one that the Enter has opened
            let at_work = match &seen.condition {
                Condition::Working(_) => true,
                Condition::Waiting(why) => !why.starts_with("dialog"),
                _ => false,
            };
            let by_status = at_work && seen.since.is_some_and(|t| t >= typed);
            let by_screen = self.live.record == Reader::None && at_work;
            // the record's own line comes a moment after the status
            let late =
                |t: &mut Option<Instant>| t.get_or_insert_with(Instant::now).elapsed() > TO_WRITE;
            let evidence = if let Some((path, from)) = written {
                (receipt.record, receipt.from) = (Some((*path).clone()), from);
                Some("record")
            } else if stands {
                None
            } else if by_screen {
                Some("screen")
            } else {
                (by_status && late(&mut taken)).then_some("status")
            };
            if let Some(evidence) = evidence {
                if receipt.record != record {
                    (receipt.record, receipt.from) = (record, 0);
                }
                receipt.evidence = Some(evidence.into());
                // what was sent is never refused any more, whatever goes wrong here
                let kept = self.store.submitted(self.a, receipt, id.as_deref(), when::now());
                return match kept {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Stop::Doubt("the attempt was moved on meanwhile".into())),
                    Err(e) => {
                        Err(Stop::Doubt(format!("it was taken, which could not be kept: {e:#}")))
                    }
                };
            }
            if again && stands && begun.elapsed() > EATEN {
                // a popup took the Enter: our own text still stands there, whole and alone
                again = false;
                if self.store.may_send(self.a, when::now()).unwrap_or(false) {
                    let _ = self.enter(&ours);
                }
            }
            if begun.elapsed() > TO_BEGIN {
                return Err(if stands {
                    self.take_back(&ours, Some((receipt, lead, text)), "Enter did not send it")
                } else {
                    Stop::Doubt("Enter was pressed, and no turn was seen to begin".into())
                });
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn state_of(s: Option<&Seen>) -> String {
    s.map_or("gone".into(), |s| {
        format!("{} {}", s.condition.as_str(), s.condition.why().unwrap_or_default())
    })
}
