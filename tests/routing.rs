//! Routing and policy: the pure rules, each term and key shown to matter.

use orch::attempt;
use orch::config::{Plan, Policy, Retry, Weights};
use orch::context::Context;
use orch::event::Evidence;
use orch::policy::{self, Ended, Verdict};
use orch::route::{self, Choice, Rules, Slot, Verdict as Routed, Wanted, World};
use orch::session::{Agent, Condition, Incarnation, Place, Session, SessionId};
use orch::task::{self, Task, TaskId};

const NOW: i64 = 1_800_000_000_000;

fn session(id: i64, dir: &str, branch: Option<&str>) -> Session {
    Session {
        id: SessionId(id),
        name: format!("s{id}"),
        provider: None,
        paused: None,
        incarnation: Incarnation {
            socket: "/s".into(),
            server_pid: 1,
            pane_id: format!("%{id}"),
            pane_pid: id,
            pane_start: 1,
            boot_id: "b".into(),
        },
        condition: Condition::Idle,
        since: None,
        agent: None,
        shell: Some("bash".into()),
        place: Place {
            working_dir: Some(dir.into()),
            git_branch: branch.map(Into::into),
            tree: Some(dir.into()),
        },
        prompt: Default::default(),
        avoid: None,
        last_active_at: None,
        last_group: None,
        seen_at: None,
    }
}

fn task(id: i64, dir: Option<&str>, branch: Option<&str>) -> Task {
    Task {
        id: TaskId(id),
        state: task::State::Queued,
        reason: None,
        content: "x".into(),
        provider: "claude".into(),
        priority: 0,
        session: None,
        context: Context {
            working_dir: dir.map(Into::into),
            git_branch: branch.map(Into::into),
            ..Default::default()
        },
        tree: dir.map(Into::into),
        group: None,
        conversation: None,
        max_attempts: 3,
        timeout: None,
        verify: None,
        accept: Evidence::Status,
        not_before: None,
        once: false,
        forgiven: 0,
        created_at: NOW,
    }
}

fn rules(policy: Policy) -> Rules {
    Rules { policy, weights: Weights::default(), plan: Plan::default() }
}

fn slot(s: &Session) -> Slot<'_> {
    Slot { session: s, occupied: None, free_in: 60.0, recent_attempts: 0 }
}

fn wanted(t: &Task) -> Wanted<'_> {
    Wanted { task: t, context_failed: Vec::new(), limited: None }
}

fn world() -> World {
    World { mean_attempt: 60.0, ..Default::default() }
}

fn choose(tasks: &[Task], sessions: &[Session], rules: &Rules) -> Choice {
    let (w, s): (Vec<_>, Vec<_>) =
        (tasks.iter().map(wanted).collect(), sessions.iter().map(slot).collect());
    route::choose(&w, &s, &world(), rules, NOW)
}

fn score(t: &Task, s: &Slot, world: &World, weights: Weights) -> f64 {
    let rules = Rules { weights, ..rules(Policy::Score) };
    match &route::choose(&[wanted(t)], std::slice::from_ref(s), world, &rules, NOW).verdicts[0][0] {
        Routed::Scored(s) => s.total(),
        Routed::Filtered(why) => panic!("filtered: {why}"),
    }
}

/// What a weight of 7 more adds to the score of one task on one session where every term holds.
fn adds(change: fn(&mut Weights)) -> f64 {
    let mut s = session(1, "/d", Some("b"));
    (s.provider, s.last_active_at, s.last_group) =
        (Some("claude".into()), Some(NOW - 1000), Some("g".into()));
    let t = Task { group: Some("g".into()), ..task(1, Some("/d"), Some("b")) };
    let world = World { expertise: vec![(SessionId(1), "/d".into(), 8, 8)], ..world() };
    let slot = Slot { recent_attempts: 2, ..slot(&s) };
    let mut w = Weights::default();
    change(&mut w);
    score(&t, &slot, &world, w) - score(&t, &slot, &world, Weights::default())
}

#[test]
fn every_weight_matters() {
    assert_eq!(adds(|w| w.directory += 7.0), 7.0);
    assert_eq!(adds(|w| w.branch += 7.0), 7.0);
    assert_eq!(adds(|w| w.active += 7.0), 7.0);
    assert_eq!(adds(|w| w.idle += 7.0), 7.0);
    assert_eq!(adds(|w| w.provider += 7.0), 7.0);
    assert_eq!(adds(|w| w.affinity += 7.0), 7.0);
    assert!((adds(|w| w.expertise += 10.0) - 4.0).abs() < 1e-9, "(8+1)/(8+2) - 1/2");
    assert!((adds(|w| w.load += 7.0) + 14.0).abs() < 1e-9, "two attempts in the last hour");
}

#[test]
fn the_plain_score_takes_the_highest_for_each_task_in_turn() {
    let sessions = [session(1, "/a", None), session(2, "/b", None)];
    let tasks = [task(1, Some("/b"), None), task(2, Some("/b"), None), task(3, None, None)];
    let c = choose(&tasks, &sessions, &rules(Policy::Score));
    assert_eq!(c.start, [(0, 1), (1, 0)]);
}

#[test]
fn the_plan_waits_for_the_session_that_holds_the_context_and_kappa_says_how_long() {
    let mut busy = session(1, "/warm", None);
    busy.condition = Condition::Working("make runs there".into());
    let idle = session(2, "/cold", None);
    let tasks = [task(1, Some("/warm"), None)];
    let starts = |kappa: f64, free_in: f64| {
        let mut r = rules(Policy::Plan);
        r.plan.kappa = kappa;
        let slots = [Slot { free_in, ..slot(&busy) }, slot(&idle)];
        route::choose(&[wanted(&tasks[0])], &slots, &world(), &r, NOW).start
    };
    assert_eq!(starts(15.0, 30.0), [], "30 s of waiting against 15 times the seconds of a switch");
    assert_eq!(starts(15.0, 600.0), [(0, 1)]);
    assert_eq!(starts(5.0, 30.0), [(0, 1)]);
    assert_eq!(starts(0.0, 1.0), [(0, 1)]);
}

#[test]
fn the_plan_gives_a_session_the_task_of_its_context_and_urgent_and_overdue_ones_first() {
    let one = [session(1, "/b", None)];
    let mut tasks = vec![task(1, Some("/a"), None), task(2, Some("/b"), None)];
    assert_eq!(choose(&tasks, &one, &rules(Policy::Plan)).start, [(1, 0)]);
    tasks[0].priority = 3;
    assert_eq!(choose(&tasks, &one, &rules(Policy::Plan)).start, [(0, 0)], "urgent");
    tasks[0].priority = 0;
    tasks[0].created_at = NOW - 61 * 60_000;
    assert_eq!(choose(&tasks, &one, &rules(Policy::Plan)).start, [(0, 0)], "overdue");
    let mut patient = rules(Policy::Plan);
    patient.plan.overdue = 600 * 60_000;
    tasks[0].created_at = NOW - 5 * 60_000;
    assert_eq!(choose(&tasks, &one, &patient).start, [(1, 0)]);
}

#[test]
fn every_eighth_start_is_for_the_oldest_overdue_task_whatever_is_urgent() {
    let one = [session(1, "/b", None)];
    let urgent = Task { priority: 9, ..task(1, None, None) };
    let old = Task { created_at: NOW - 90 * 60_000, ..task(2, None, None) };
    let first = |starts: i64| {
        let w = World { starts, ..world() };
        route::choose(
            &[wanted(&urgent), wanted(&old)],
            &[slot(&one[0])],
            &w,
            &rules(Policy::Plan),
            NOW,
        )
        .start[0]
            .0
    };
    let taken: Vec<usize> = (0..16).map(first).collect();
    assert_eq!(taken.iter().filter(|i| **i == 1).count(), 2, "{taken:?}");
}

#[test]
fn without_contexts_the_plan_is_priority_then_age() {
    let sessions = [session(1, "/a", None), session(2, "/a", None)];
    let mut tasks =
        vec![task(1, None, None), task(2, None, None), task(3, None, None), task(4, None, None)];
    tasks[2].priority = 1;
    tasks[3].priority = 2;
    {
        let policy = Policy::Plan;
        let mut first: Vec<usize> =
            choose(&tasks, &sessions, &rules(policy)).start.iter().map(|p| p.0).collect();
        first.sort_unstable();
        assert_eq!(first, [2, 3]);
    }
    let older = Task { created_at: NOW - 1000, ..task(9, None, None) };
    let c = choose(&[task(1, None, None), older], &sessions[..1], &rules(Policy::Plan));
    assert_eq!(c.start, [(1, 0)]);
}

#[test]
fn every_filter_has_its_reason() {
    let reason =
        |s: &Session, w: &Wanted, world: &World, others: &[Session], occupied: Option<&str>| {
            let mut slots = vec![Slot { occupied: occupied.map(Into::into), ..slot(s) }];
            slots.extend(others.iter().map(slot));
            match &route::choose(std::slice::from_ref(w), &slots, world, &rules(Policy::Plan), NOW)
                .verdicts[0][0]
            {
                Routed::Filtered(why) => why.clone(),
                Routed::Scored(_) => String::new(),
            }
        };
    let fine = session(1, "/d", Some("b"));
    let t = task(1, Some("/d"), Some("c"));
    let check = |s: Session,
                 w: Wanted,
                 world: World,
                 others: &[Session],
                 occupied: Option<&str>,
                 has: &str| {
        let why = reason(&s, &w, &world, others, occupied);
        assert!(why.contains(has), "{why:?} lacks {has:?}");
    };
    assert_eq!(reason(&fine, &wanted(&t), &world(), &[], None), "");
    let with = |f: &dyn Fn(&mut Session)| {
        let mut s = fine.clone();
        f(&mut s);
        s
    };
    check(with(&|s| s.paused = Some("why".into())), wanted(&t), world(), &[], None, "paused: why");
    check(with(&|s| s.condition = Condition::Dead), wanted(&t), world(), &[], None, "dead");
    check(
        with(&|s| s.condition = Condition::Working("vim".into())),
        wanted(&t),
        world(),
        &[],
        None,
        "busy: vim",
    );
    check(
        with(&|s| s.condition = Condition::Blocked("copy mode".into())),
        wanted(&t),
        world(),
        &[],
        None,
        "copy mode",
    );
    check(
        with(&|s| s.avoid = Some((NOW + 1, "odd".into()))),
        wanted(&t),
        world(),
        &[],
        None,
        "avoided until",
    );
    assert_eq!(
        reason(&with(&|s| s.avoid = Some((NOW, "odd".into()))), &wanted(&t), &world(), &[], None),
        ""
    );
    check(with(&|s| s.shell = None), wanted(&t), world(), &[], None, "provider");
    let live = |provider: &str| {
        with(&|s| {
            s.shell = None;
            s.agent = Some(Agent { provider: provider.into(), ..Default::default() });
        })
    };
    check(live("other"), wanted(&t), world(), &[], None, "other runs there");
    assert_eq!(reason(&live(&t.provider), &wanted(&t), &world(), &[], None), "");
    let mut prepared = t.clone();
    prepared.context.prerequisites = vec!["true".into()];
    check(live(&t.provider), wanted(&prepared), world(), &[], None, "need a shell");
    for asks in [
        Condition::Waiting("permission".into()),
        Condition::Unknown("x".into()),
        Condition::Starting,
    ] {
        let name = asks.as_str();
        check(
            Session { condition: asks, ..live(&t.provider) },
            wanted(&t),
            world(),
            &[],
            None,
            name,
        );
    }
    check(fine.clone(), wanted(&t), world(), &[], Some("task 4 is waiting there"), "busy: task 4");
    check(
        fine.clone(),
        Wanted { limited: Some("until 3".into()), ..wanted(&t) },
        world(),
        &[],
        None,
        "rate-limited: until 3",
    );
    check(
        fine.clone(),
        Wanted { context_failed: vec![SessionId(1)], ..wanted(&t) },
        world(),
        &[],
        None,
        "could not be established",
    );
    let held = World { trees: vec![("/d".into(), Some("b".into()), 8)], ..world() };
    check(fine.clone(), wanted(&t), held, &[], None, "task 8 works in /d");
    let other =
        Session { condition: Condition::Working("make".into()), ..session(2, "/d", Some("b")) };
    check(fine.clone(), wanted(&t), world(), &[other], None, "session 's2' works in /d");
    let bound = Task { session: Some("s9".into()), ..task(1, None, None) };
    check(fine, wanted(&bound), world(), &[], None, "wants session 's9'");
}

#[test]
fn two_branches_of_one_tree_are_not_started_together() {
    let sessions = [session(1, "/x", None), session(2, "/y", None)];
    let tasks = [task(1, Some("/d"), Some("a")), task(2, Some("/d"), Some("b"))];
    for policy in [Policy::Plan, Policy::Score] {
        assert_eq!(choose(&tasks, &sessions, &rules(policy)).start.len(), 1);
    }
    let same = [task(1, Some("/d"), Some("a")), task(2, Some("/d"), Some("a"))];
    assert_eq!(choose(&same, &sessions, &rules(Policy::Score)).start.len(), 2);
}

fn settle(verdict: &Verdict, counted: i64, retry: Retry) -> attempt::Closing {
    let t = task(7, None, None);
    let ended = Ended {
        task: &t,
        number: counted + 1,
        counted,
        account: Some("acme"),
        reason: Some("because".into()),
        evidence: Evidence::Protocol,
        confidence: None,
        answer: None,
        exit_code: None,
    };
    policy::settle(&ended, verdict, &retry, NOW)
}

#[test]
fn each_end_means_what_the_table_says() {
    use attempt::State as A;
    use task::State as T;
    let cases = [
        (Verdict::Complete { note: None }, A::Completed, T::Completed, true),
        (Verdict::Failed, A::Failed, T::Queued, true),
        (Verdict::Lost, A::Lost, T::Queued, true),
        (Verdict::RateLimited { until: Some(NOW + 5) }, A::Failed, T::Queued, false),
        (Verdict::Waiting, A::Failed, T::Waiting, false),
        (Verdict::ContextFailed, A::ContextFailed, T::Queued, false),
        (Verdict::Cancelled, A::Cancelled, T::Cancelled, false),
        (Verdict::Unknown { survivors: true }, A::Unknown, T::Unknown, false),
    ];
    for (verdict, attempt, task, counts) in cases {
        let c = settle(&verdict, 0, Retry::default());
        assert_eq!((c.state, c.task, c.counts), (Some(attempt), Some(task), counts), "{verdict:?}");
    }
    for verdict in [Verdict::Failed, Verdict::Lost] {
        assert_eq!(
            settle(&verdict, 2, Retry::default()).task,
            Some(T::Failed),
            "the third of three"
        );
    }
}

#[test]
fn backoff_doubles_to_its_bound_and_every_key_of_it_matters() {
    let wait = |counted: i64, retry: Retry| {
        let t = Task { max_attempts: 100, ..task(7, None, None) };
        let ended = Ended {
            task: &t,
            number: counted + 1,
            counted,
            account: None,
            reason: None,
            evidence: Evidence::Exit,
            confidence: None,
            answer: None,
            exit_code: None,
        };
        policy::settle(&ended, &Verdict::Failed, &retry, NOW).not_before.expect("a time") - NOW
    };
    let still = Retry { jitter: 0, ..Default::default() };
    let waits: Vec<i64> = (0..7).map(|n| wait(n, still)).collect();
    assert_eq!(waits, [10_000, 20_000, 40_000, 80_000, 160_000, 240_000, 240_000]);
    assert_eq!(wait(90, still), 240_000);
    assert_eq!(wait(0, Retry { base: 1000, ..still }), 1000);
    assert_eq!(wait(6, Retry { max: 90_000, ..still }), 90_000);
    let jittered: Vec<i64> = (0..20).map(|n| wait(n, Retry::default()) - wait(n, still)).collect();
    assert!(jittered.iter().all(|j| (0..=60_000).contains(j)), "{jittered:?}");
    assert!(jittered.iter().max() > jittered.iter().min(), "spread out");
    assert_eq!(
        wait(3, Retry::default()),
        wait(3, Retry::default()),
        "the same for the same attempt"
    );
}

#[test]
fn a_limit_waits_for_its_reset_and_holds_the_account() {
    let still = Retry { jitter: 0, ..Default::default() };
    let c = settle(&Verdict::RateLimited { until: Some(NOW + 3_600_000) }, 0, still);
    assert_eq!(c.not_before, Some(NOW + 3_600_000));
    assert_eq!(c.limit.map(|(a, until, _)| (a, until)), Some(("acme".into(), NOW + 3_600_000)));
    let untold = settle(&Verdict::RateLimited { until: None }, 0, still);
    assert!(
        untold.not_before.expect("a time") > NOW,
        "a limit whose end nobody told is looked at again"
    );
}
