//! Why a task is in the state that it is in, in a few lines.

use crate::store::{Store, TaskFilter};
use crate::task::{State, TaskId};
use crate::when::{self, Ms};

pub fn why(store: &Store, id: TaskId, now: Ms) -> anyhow::Result<Vec<String>> {
    let task = store.need_task(id)?;
    let reason = task.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
    let mut lines = vec![format!("task {id} is {}{reason}", task.state.as_str())];
    if task.state == State::Queued {
        lines.extend(
            task.not_before
                .filter(|t| *t > now)
                .map(|t| format!("not before {}", when::rfc3339(t))),
        );
        lines.extend(store.blockers(id)?.into_iter().map(|b| format!("waits: {b}")));
        lines.extend(task.session.as_ref().map(|s| format!("only for session '{s}'")));
        for (account, (until, why)) in store.limits(now)? {
            lines.push(format!(
                "account {account} is limited until {}: {why}",
                when::rfc3339(until)
            ));
        }
        if lines.len() == 1 {
            lines.push("waits for an idle session: orch-assign --dry-run --explain names what is in the way".into());
        }
    }
    let mut asks: Option<String> = None;
    for a in store.list_attempts(&TaskFilter { ids: vec![id.0], ..Default::default() })? {
        let text = |name: &str| a[name].as_str().unwrap_or("-").to_owned();
        let mut line = format!(
            "attempt {} in {}: {}, evidence {}",
            text("attempt"),
            text("session"),
            text("state"),
            text("evidence")
        );
        if let Some(r) = a["reason"].as_str() {
            line.push_str(&format!(": {r}"));
        }
        // a live client asks a person, whose turn it still is
        let asked =
            ["permission", "question", "dialog"].iter().any(|k| text("reason").starts_with(k));
        if text("state") == "waiting" && !a["receipt"].is_null() && asked {
            asks = a["session"].as_str().map(str::to_owned);
        }
        lines.push(line);
    }
    lines.extend(
        asks.map(|s| format!("remedy: orch-ctl answer {s}, then orch-ctl answer {s} yes|no|N")),
    );
    lines.extend(remedy(task.state, id));
    Ok(lines)
}

fn remedy(state: State, id: TaskId) -> Option<String> {
    let verbs = match state {
        State::Held => "release",
        State::Waiting | State::Unknown => "retry, complete or fail",
        State::Failed => "retry",
        _ => return None,
    };
    Some(format!("remedy: orch-ctl {verbs} {id}"))
}
