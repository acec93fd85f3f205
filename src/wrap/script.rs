//! The few lines of shell that run the prerequisites, report, wait, and become the task.

use std::os::fd::RawFd;

use crate::quote::word;

/// What the shell becomes once it was let go.
#[derive(Clone, Debug)]
pub enum Then {
    /// Code, handed over through the pipe with the word to go.
    Eval,
    /// A program in the shell's place.
    Exec(Vec<String>),
}

/// `report`: the shell writes `.` when the prerequisites hold, or `N` and ends when the N-th failed. `go`: it then
/// reads to the end: `g`, the code, and `.`, or less when we were killed meanwhile, which is not run. Neither pipe reaches a prerequisite or the task.
pub fn script(prerequisites: &[String], then: &Then, report: RawFd, go: RawFd) -> String {
    let mut s = String::new();
    for (i, p) in prerequisites.iter().enumerate() {
        let n = i + 1;
        s.push_str(&format!(
            "eval {} </dev/null {report}>&- {go}<&- || {{ printf {n} >&{report}; exit 1; }}\n",
            word(p)
        ));
    }
    s.push_str(&format!(
        "printf . >&{report}\n__orch_go=$(command -p cat <&{go})\nexec {report}>&- {go}<&-\n"
    ));
    s.push_str("case $__orch_go in g*.) ;; *) exit 1 ;; esac\n");
    match then {
        Then::Eval => s.push_str("__orch_go=${__orch_go#g}\neval \"${__orch_go%.}\"\n"),
        Then::Exec(argv) => {
            let words: Vec<String> = argv.iter().map(|a| word(a)).collect();
            s.push_str(&format!("exec {}\n", words.join(" ")));
        }
    }
    s
}
