//! One pass: reap, sync, choose, claim, deliver. Safe to run in any number at once.

pub mod deliver;
mod live;
pub mod reap;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::attempt::State;
use crate::config::Config;
use crate::ctx::sync::{self, Which};
use crate::provider::Profile;
use crate::route::{self, Choice, Rules, Slot, Verdict, Wanted, World};
use crate::session::Session;
use crate::store::{Candidates, Claim, Claimed, OpenAttempt, Store};
use crate::task::Task;
use crate::when::{self, Ms};
use crate::{feedback, git, proc};
use deliver::{Begun, Handed, NOT_BEGUN};

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Choose, and say what would be done; change nothing.
    pub dry_run: bool,
    /// Print the verdict on every pair.
    pub explain: bool,
    /// Start this many attempts at most.
    pub limit: Option<usize>,
    /// Tell a client that asks so to trust a task's directory.
    pub trust_dir: bool,
    /// Look at this session only.
    pub session: Option<String>,
}

/// What a pass did, as records to print.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    pub records: Vec<Value>,
    /// Attempts started (or, in a dry run, chosen).
    pub started: usize,
    /// Sessions that the pass could see.
    pub sessions: usize,
}

/// How long a session is left alone in which a typed line came to nothing, the first time and soon again.
const AVOID: Ms = 30_000;
const AVOID_AGAIN: Ms = 10 * 60_000;

/// Each claim that another pass wins sends the choice back, so often at most.
const ROUNDS: usize = 8;

/// What a pass goes by.
struct Scene<'a> {
    config: &'a Config,
    options: &'a Options,
    profiles: BTreeMap<String, Profile>,
    sessions: Vec<Session>,
}

pub fn pass(store: &mut Store, config: &Config, options: &Options) -> anyhow::Result<Pass> {
    let now = when::now();
    let mut pass = Pass::default();
    if !options.dry_run {
        pass.records = reap::reap(store, config, now)?;
    }
    let which = options.session.as_deref().map_or(Which::All, Which::One);
    let sessions = sync::sync(store, config, which, now)?;
    pass.sessions = sessions.len();
    let is_full = options.session.is_none() && !options.dry_run;
    if is_full && store.fact("last_pass")?.is_none_or(|t| now - t > sync::SEEN_EVERY) {
        store.note_fact("last_pass", now)?;
    }
    let scene = Scene { config, options, profiles: config.profiles()?, sessions };
    let mut sent = Vec::new();
    for round in 0..ROUNDS {
        let lost_a_claim = start_some(store, &scene, round == 0, &mut sent, &mut pass)?;
        if options.dry_run || !lost_a_claim {
            break;
        }
    }
    for (a, begun) in deliver::await_starts(store, sent)? {
        let session = scene.sessions.iter().find(|s| Some(s.id) == a.session);
        let mut record = json!({"did": "started", "attempt": a.name.to_string(), "task": a.name.task,
            "session": session.map(|s| s.name.as_str())});
        match begun {
            Begun::Yes => pass.started += 1,
            Begun::TakenBack => record["did"] = "revoked".into(),
            Begun::No => {
                if let Some(s) = session {
                    avoid(store, s, NOT_BEGUN)?;
                }
                record["did"] = "revoked".into();
                record["reason"] = NOT_BEGUN.into();
            }
        }
        pass.records.push(record);
    }
    Ok(pass)
}

/// One choice, and what can be started of it. True: another pass won a task that was chosen.
fn start_some(
    store: &mut Store,
    scene: &Scene,
    first: bool,
    sent: &mut Vec<OpenAttempt>,
    pass: &mut Pass,
) -> anyhow::Result<bool> {
    let now = when::now();
    let tasks = candidates(store, scene, now)?;
    let open = store.open_attempts()?;
    let slots = slots(store, &scene.sessions, &open, now)?;
    let limits = store.limits(now)?;
    let mut wanted = Vec::new();
    for task in &tasks {
        let limited = scene.account(task).and_then(|a| limits.get(a).map(|(_, why)| why.clone()));
        wanted.push(Wanted { task, context_failed: store.tried(task)?.1, limited });
    }
    let rules = Rules {
        policy: scene.config.policy,
        weights: scene.config.weights,
        plan: scene.config.plan,
    };
    let choice = route::choose(&wanted, &slots, &world(store, &open)?, &rules, now);
    if scene.options.explain && first {
        explain(&wanted, &slots, &choice, &mut pass.records);
    }
    let most = scene.options.limit.unwrap_or(usize::MAX);
    if scene.options.dry_run {
        for (i, j) in choice.start.iter().take(most) {
            pass.started += 1;
            pass.records.push(
                json!({"would": "start", "task": tasks[*i].id, "session": slots[*j].session.name}),
            );
        }
        return Ok(false);
    }
    // a look at one session says nothing of the others
    let all = scene.options.session.is_none();
    for w in wanted.iter().filter(|w| all && route::is_hopeless(w, &slots)) {
        let why = store.last_reason(w.task.id)?;
        let why = why.unwrap_or_else(|| "the context could not be established".into());
        if store.hold(w.task.id, &format!("no session left: {why}"), now)? {
            pass.records.push(json!({"did": "held", "task": w.task.id, "reason": why}));
        }
    }
    let mut lost_a_claim = false;
    for (i, j) in choice.start {
        if sent.len() >= most {
            break;
        }
        let (task, session) = (&tasks[i], slots[j].session);
        match start(store, scene, task, session)? {
            Started::Sent(a) => sent.push(*a),
            Started::Lost => lost_a_claim = true,
            Started::Submitted(a) => {
                pass.started += 1;
                pass.records
                    .push(json!({"did": "started", "attempt": a.name.to_string(), "task": task.id,
                    "session": session.name, "outcome": "submitted"}));
            }
            Started::Doubtful(a, why) => {
                pass.records.push(json!({"did": "sent", "attempt": a.name.to_string(),
                "task": task.id, "session": session.name, "outcome": "unknown", "reason": why}))
            }
            Started::Refused(why) => pass.records.push(
                json!({"did": "refused", "task": task.id, "session": session.name, "reason": why}),
            ),
        }
    }
    Ok(lost_a_claim)
}

enum Started {
    Sent(Box<OpenAttempt>),
    /// Another pass has the task or the session.
    Lost,
    Refused(String),
    /// A live client took it.
    Submitted(Box<OpenAttempt>),
    /// Nothing tells whether a live client took it.
    Doubtful(Box<OpenAttempt>, String),
}

/// Claims one pair, and hands it over.
fn start(
    store: &mut Store,
    scene: &Scene,
    task: &Task,
    session: &Session,
) -> anyhow::Result<Started> {
    let switches = switches(task);
    if switches && scene.options.session.is_some() {
        // of the other sessions only an old look is at hand, and one of them may work in that tree
        sync::sync(store, scene.config, Which::All, when::now())?;
    }
    let claim = Claim {
        task: task.id,
        session: session.id,
        incarnation: &session.incarnation,
        agent_session: &uuid()?,
        switches,
        account: scene.account(task).map(String::as_str),
        owner: &proc::own(),
    };
    let attempt = match store.claim(&claim, when::now())? {
        Claimed::Won(a) => a,
        Claimed::Not(_) => return Ok(Started::Lost),
    };
    proc::stop_for_test("claimed");
    let dir = task.context.working_dir.as_deref();
    let profile = session.agent.as_ref().and_then(|a| scene.profiles.get(&a.provider));
    let client = profile.and_then(|p| Some((p, p.live.as_ref()?)));
    let handed = match client {
        Some(client) => live::hand_over(
            store,
            scene.config,
            session,
            client,
            &attempt,
            task,
            scene.options.trust_dir,
        )?,
        None => deliver::hand_over(store, scene.config, session, &attempt, dir)?,
    };
    let why = match handed {
        Handed::Submitted => {
            // with the process that fills its pane by now
            let attempt = store.attempt(attempt.name)?.map_or(attempt, Box::new);
            feedback::watch(store, &attempt)?;
            return Ok(Started::Submitted(attempt));
        }
        Handed::Doubtful(why) => return Ok(Started::Doubtful(attempt, why)),
        Handed::NoContext(why) => {
            feedback::refuse(store, scene.config, &attempt, task, &why)?;
            return Ok(Started::Refused(why));
        }
        Handed::Typed => {
            proc::stop_for_test("typed");
            return Ok(Started::Sent(attempt));
        }
        Handed::Not(why) => why,
        Handed::InVain(why) => {
            avoid(store, session, &why)?;
            why
        }
    };
    store.revoke(&attempt, &why, when::now())?;
    Ok(Started::Refused(why))
}

/// Leaves a session alone in which a typed line came to nothing: shortly, and longer when that is its habit.
fn avoid(store: &mut Store, session: &Session, why: &str) -> anyhow::Result<()> {
    let now = when::now();
    let again = session.avoid.as_ref().is_some_and(|(until, _)| now - until < AVOID_AGAIN);
    store.avoid(session.id, why, now + if again { AVOID_AGAIN } else { AVOID })
}

impl Scene<'_> {
    /// Who is limited when the task's agent is.
    fn account(&self, task: &Task) -> Option<&String> {
        self.profiles.get(&task.provider)?.account.as_ref()
    }
}

fn candidates(store: &Store, scene: &Scene, now: Ms) -> anyhow::Result<Vec<Task>> {
    let names: Vec<String> = scene.sessions.iter().map(|s| s.name.clone()).collect();
    let dirs: Vec<String> =
        scene.sessions.iter().filter_map(|s| s.place.working_dir.clone()).collect();
    let limits = store.limits(now)?;
    let at_limit = |p: &Profile| p.account.as_ref().is_some_and(|a| limits.contains_key(a));
    // an explanation wants to name the limit as the reason
    let limited: Vec<String> = match scene.options.explain {
        true => Vec::new(),
        false => {
            scene.profiles.iter().filter(|(_, p)| at_limit(p)).map(|(n, _)| n.clone()).collect()
        }
    };
    let most = 3 * scene.sessions.len() + 20;
    store.candidates(&Candidates { sessions: &names, dirs: &dirs, limited: &limited, most }, now)
}

fn slots<'a>(
    store: &Store,
    sessions: &'a [Session],
    open: &[OpenAttempt],
    now: Ms,
) -> anyhow::Result<Vec<Slot<'a>>> {
    let (_, mean) = store.pulse()?;
    let recent = store.recent_attempts(now)?;
    let unknown = |a: &OpenAttempt| a.state == State::Unknown;
    // an unknown one frees its session only once the pane is idle and nothing of it is alive
    let alive = if open.iter().any(unknown) {
        proc::attempts_alive(store.path())
    } else {
        Default::default()
    };
    let mut all = Vec::new();
    for session in sessions {
        let holds = |a: &&OpenAttempt| a.session == Some(session.id);
        let attempt = open
            .iter()
            .filter(holds)
            .find(|a| !unknown(a) || a.orphaned || alive.contains(&a.name.to_string()));
        let spent = attempt.map_or(0.0, |a| (now - a.claimed_at).max(0) as f64 / 1000.0);
        all.push(Slot {
            session,
            occupied: attempt
                .map(|a| format!("task {} is {} there", a.name.task, a.state.as_str())),
            free_in: if attempt.is_some() { (mean - spent).max(mean / 2.0) } else { mean },
            recent_attempts: recent.get(&session.id).copied().unwrap_or(0),
        });
    }
    Ok(all)
}

fn world(store: &Store, open: &[OpenAttempt]) -> anyhow::Result<World> {
    let (starts, mean_attempt) = store.pulse()?;
    let trees = open
        .iter()
        .filter_map(|a| Some((a.tree.clone()?, a.git_branch.clone(), a.name.task.0)))
        .collect();
    Ok(World { trees, expertise: store.expertise()?, starts, mean_attempt })
}

/// Whether the task's tree is on another branch than it wants.
fn switches(task: &Task) -> bool {
    let (Some(dir), Some(branch)) = (&task.context.working_dir, &task.context.git_branch) else {
        return false;
    };
    git::work_tree(dir.as_ref()).is_none_or(|w| w.branch.as_ref() != Some(branch))
}

fn explain(wanted: &[Wanted], slots: &[Slot], choice: &Choice, records: &mut Vec<Value>) {
    for (i, w) in wanted.iter().enumerate() {
        for (j, s) in slots.iter().enumerate() {
            let mut r = json!({"task": w.task.id, "session": s.session.name, "chosen": choice.start.contains(&(i, j))});
            match &choice.verdicts[i][j] {
                Verdict::Filtered(why) => r["filter"] = why.as_str().into(),
                Verdict::Scored(score) => {
                    r["score"] = score.total().into();
                    r["terms"] =
                        score.terms.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
                }
            }
            records.push(r);
        }
    }
}

/// Waits until a session's pane is at an empty prompt, to the deadline; then its pass is due.
pub fn await_idle(
    store: &Store,
    config: &Config,
    session: &str,
    deadline: Duration,
) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let session = store.need_session(session)?;
    loop {
        if sync::glance(&session, config)?.is_some_and(|seen| seen.condition.is_at_rest()) {
            return Ok(true);
        }
        if begun.elapsed() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A random UUID (version 4), as the agents want their session ids.
pub fn uuid() -> anyhow::Result<String> {
    let mut b = [0u8; 16];
    getrandom::fill(&mut b).map_err(|e| anyhow::anyhow!("random numbers: {e}"))?;
    (b[6], b[8]) = (b[6] & 0x0f | 0x40, b[8] & 0x3f | 0x80);
    let h = crate::context::hex(&b);
    Ok(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]))
}
