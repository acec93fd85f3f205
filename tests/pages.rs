//! The manual pages and completions, held against what the programs say and the code reads.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use orch::config::Config;
use orch::extract::Format;
use regex::Regex;

use crate::support::house::{files, programs, read, root};
use crate::support::world::bin_dir;

type Words = BTreeSet<String>;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("pattern")
}

fn help(program: &str, command: Option<&str>) -> String {
    let out = Command::new(bin_dir().join(program)).args(command).arg("--help").output();
    let out = out.expect("runs");
    assert!(out.status.success(), "{program} {command:?} --help");
    String::from_utf8(out.stdout).expect("UTF-8")
}

/// Options as they are typed: `--long`, `-s`. Text of a description stands further right.
fn options_of_help(help: &str) -> Words {
    let line = regex(r"(?m)^ {2,6}(?:(-\w)\b)?(?:, )?(--[a-z][a-z-]*)?");
    let both = line.captures_iter(help).flat_map(|c| [c.get(1), c.get(2)]);
    both.flatten().map(|m| m.as_str().to_owned()).collect()
}

fn commands_of_help(help: &str) -> Words {
    let Some((_, rest)) = help.split_once("\nCommands:\n") else { return Words::new() };
    let names = rest.lines().take_while(|l| !l.is_empty());
    names
        .filter_map(|l| l.split_whitespace().next())
        .filter(|w| *w != "help")
        .map(str::to_owned)
        .collect()
}

/// Every `Fl` of some lines of mdoc.
fn options_of_page(text: &str) -> Words {
    let flag = regex(r"\bFl (-[a-z][a-z-]*|\w\b)");
    let macros = text.lines().filter(|l| l.starts_with('.'));
    macros
        .flat_map(|l| flag.captures_iter(l).map(|c| format!("-{}", &c[1])).collect::<Vec<_>>())
        .collect()
}

/// The items of a page that are a program's commands: verb and the item's line.
fn commands_of_page(page: &str) -> BTreeMap<String, String> {
    let before = page.split("\n.Ss Options\n").next().expect("a part");
    let item = regex(r"(?m)^\.It Cm (\w+)\b.*$");
    item.captures_iter(before).map(|c| (c[1].to_owned(), c[0].to_owned())).collect()
}

/// A program's options and those of its commands.
fn all_options(program: &str) -> Words {
    let own = help(program, None);
    let mut all = options_of_help(&own);
    for command in commands_of_help(&own) {
        all.extend(options_of_help(&help(program, Some(&command))));
    }
    all
}

fn page_of(program: &str) -> String {
    read(&format!("man/{program}.1"))
}

/// What a reader sees of mdoc's escapes.
fn plain(text: &str) -> String {
    text.replace("\\e", "\\").replace("\\-", "-").replace("\\&", "").replace("\\(dq", "\"")
}

fn displays(page: &str) -> Vec<String> {
    let display = regex(r"(?ms)^\.Bd -literal[^\n]*\n(.*?)^\.Ed$");
    display.captures_iter(page).map(|c| plain(&c[1])).collect()
}

#[test]
fn every_option_of_help_stands_in_the_page_and_the_reverse() {
    for (name, _) in programs() {
        assert_eq!(options_of_page(&page_of(&name)), all_options(&name), "{name}: page, help");
    }
}

#[test]
fn every_command_of_help_stands_in_the_page_with_its_own_options_and_the_reverse() {
    let mut seen = 0;
    for (name, _) in programs() {
        let own = help(&name, None);
        let commands = commands_of_help(&own);
        if commands.is_empty() {
            continue;
        }
        let items = commands_of_page(&page_of(&name));
        assert_eq!(items.keys().cloned().collect::<Words>(), commands, "{name}: page, help");
        for (command, item) in items {
            let everywhere = options_of_help(&own);
            let of_help = options_of_help(&help(&name, Some(&command)));
            let own: Words = of_help.difference(&everywhere).cloned().collect();
            let of_page: Words = options_of_page(&item);
            assert_eq!(of_page, own, "{name} {command}: page, help");
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} commands were found");
}

#[test]
fn the_name_line_is_what_the_program_says_of_itself() {
    for (name, what) in programs() {
        let wanted = format!(".Sh NAME\n.Nm {name}\n.Nd {what}\n");
        assert!(page_of(&name).contains(&wanted), "{name}: {wanted}");
        let entry = format!(".It Xr {name} 1\n{what}\n");
        assert!(read("man/orch.7").contains(&entry), "orch.7: {entry}");
    }
}

#[test]
fn every_page_has_what_a_page_needs_and_links_to_pages_that_are_there() {
    let link = regex(r"(?m)^\.(?:It )?Xr (orch[a-z-]*) (\d)");
    let pages = files("man");
    for path in &pages {
        let page = read(path);
        for section in ["NAME", "DESCRIPTION", "EXAMPLES", "SEE ALSO"] {
            assert!(page.contains(&format!("\n.Sh {section}\n")), "{path}: no {section}");
        }
        let is_program = path.ends_with(".1");
        assert!(!is_program || page.contains("\n.Sh EXIT STATUS\n"), "{path}: no EXIT STATUS");
        for l in link.captures_iter(&page) {
            let target = format!("man/{}.{}", &l[1], &l[2]);
            assert!(pages.contains(&target), "{path}: {target} is not there");
        }
    }
}

/// The calls of our programs in some shell code: the program, and its options.
fn calls(code: &str) -> Vec<(String, Words)> {
    let code = code.replace("\\\n", " ");
    let option = regex(r"^--[a-z][a-z-]*");
    let mut all = Vec::new();
    for part in code.split(['|', ';', '&', '(', ')', '\n']) {
        let mut words = part.split_whitespace();
        let named = |w: &&str| w.rsplit('/').next().is_some_and(|n| n.starts_with("orch-"));
        let Some(program) = words.find(named).and_then(|w| w.rsplit('/').next()) else { continue };
        let own = words.take_while(|w| *w != "--");
        let options = own.filter_map(|w| option.find(w)).map(|m| m.as_str().to_owned()).collect();
        all.push((program.to_owned(), options));
    }
    all
}

#[test]
fn examples_use_options_that_are_there() {
    let known: BTreeMap<String, Words> =
        programs().into_iter().map(|(n, _)| (n.clone(), all_options(&n))).collect();
    let quoted = regex(r"(?m)^\.(?:.* )?Ql (orch-.*?)(?: [.,;:()])?$");
    let mut seen = 0;
    for path in files("man") {
        let page = read(&path);
        let mut code = displays(&page);
        code.extend(quoted.captures_iter(&page).map(|c| plain(&c[1])));
        for (program, options) in code.iter().flat_map(|c| calls(c)) {
            let has = known.get(&program).unwrap_or_else(|| panic!("{path}: no program {program}"));
            for o in options {
                assert!(has.contains(&o), "{path}: {program} has no {o}");
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "only {seen} options were found");
}

/// The fields of a struct in the sources, as they are written in TOML.
fn fields(source: &str, name: &str) -> Words {
    let body = regex(&format!(r"(?s)pub struct {name} \{{\n(.*?)\n\}}"));
    let body = body.captures(source).unwrap_or_else(|| panic!("no struct {name}"));
    let field = regex(r"(?m)^    pub (?:r#)?(\w+):");
    field.captures_iter(&body[1]).map(|c| c[1].to_owned()).collect()
}

/// The part of a page under a `.Ss` line.
fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let (_, rest) =
        page.split_once(&format!("\n.Ss {title}\n")).unwrap_or_else(|| panic!("no {title}"));
    rest.split("\n.Ss ").flat_map(|p| p.split("\n.Sh ")).next().expect("a part")
}

const SECTIONS: [(&str, &str, &str); 5] = [
    ("src/config.rs", "Config", "Top level"),
    ("src/config.rs", "Weights", "[weights]"),
    ("src/config.rs", "Plan", "[plan]"),
    ("src/config.rs", "Retry", "[retry]"),
    ("src/config.rs", "ContextRules", "[context]"),
];

#[test]
fn every_key_of_the_configuration_stands_in_its_page_and_the_reverse() {
    let page = read("man/orch-config.5");
    let key = regex(r"(?m)^\.It Cm (\w+) No =");
    // a provider's keys have a page of their own
    let titles = SECTIONS.iter().map(|(_, _, title)| *title).chain(["[provider]"]);
    let tables: Words =
        titles.filter_map(|t| Some(regex(r"^\[(\w+)").captures(t)?[1].to_owned())).collect();
    for (file, name, title) in SECTIONS {
        let mut of_code = fields(&read(file), name);
        if name == "Config" {
            assert!(tables.is_subset(&of_code), "{tables:?}");
            of_code = of_code.difference(&tables).cloned().collect();
        }
        let of_page: Words =
            key.captures_iter(section(&page, title)).map(|c| c[1].to_owned()).collect();
        assert_eq!(of_page, of_code, "{title}: page, {file}");
    }
}

#[test]
fn every_key_of_a_profile_stands_in_its_page_and_the_reverse() {
    let page = read("man/orch-providers.5");
    let key = regex(r"(?m)^\.It Cm (\w+) No =");
    for (title, file, name) in [
        ("Keys", "src/provider.rs", "Profile"),
        ("Live clients", "src/agent/rules.rs", "Live"),
        ("Screen rules", "src/agent/rules.rs", "Rule"),
    ] {
        let part = key.captures_iter(section(&page, title));
        let of_page: Words = part.map(|c| c[1].to_owned()).collect();
        assert_eq!(of_page, fields(&read(file), name), "{title}: page, {file}");
    }
}

#[test]
fn every_format_and_every_built_in_profile_is_named_where_it_can_be_chosen() {
    let [extract, wrap] = ["orch-extract", "orch-wrap"].map(|p| help(p, None));
    let providers = read("man/orch-providers.5");
    for format in Format::ALL.map(Format::as_str) {
        assert!(read("man/orch-extract.1").contains(&format!("\n.It Cm {format}\n")), "{format}");
        assert!(extract.contains(format), "orch-extract --help: {format}");
        // what a command prints: it is no hook, no screen, no file, and never guessed
        let file = ["sweagent", "aider", "markdown", "script", "asciicast"].contains(&format);
        if !file && !matches!(format, "auto" | "hook" | "tty") {
            assert!(wrap.contains(format), "orch-wrap --help: {format}");
            assert!(section(&providers, "Keys").contains(&format!("\n.Qq {format} ")), "{format}");
        }
    }
    let enqueue = help("orch-enqueue", None);
    for name in Config::default().profiles().expect("profiles").keys() {
        assert!(enqueue.contains(name.as_str()), "orch-enqueue --help: {name}");
    }
}

#[test]
fn the_defaults_in_the_page_are_the_ones_in_the_code() {
    let page = read("man/orch-config.5");
    let item = regex(r"(?m)^\.It Cm (\w+) No = (?:Ar|Qq) (\S+)$");
    let mut written = String::new();
    for title in ["[weights]", "[plan]", "[retry]"] {
        written.push_str(&format!("{title}\n"));
        for c in item.captures_iter(section(&page, title)) {
            let quote = if c[2].parse::<f64>().is_ok() { "" } else { "'" };
            written.push_str(&format!("{} = {quote}{}{quote}\n", &c[1], &c[2]));
        }
    }
    assert_eq!(written.matches('=').count(), 13, "{written}");
    let (of_page, of_code) = (Config::parse(&written).expect("parses"), Config::default());
    assert_eq!(format!("{of_page:?}"), format!("{of_code:?}"));
}

#[test]
fn the_profiles_and_the_examples_in_the_pages_are_read() {
    let config = displays(&read("man/orch-config.5"));
    let [example] = &config[..] else { panic!("{} displays", config.len()) };
    Config::parse(example).and_then(|c| c.profiles()).expect("the example is read");
    let displays = displays(&read("man/orch-providers.5"));
    let is_toml = |d: &&String| d.trim_start_matches('[').starts_with("provider.");
    let [profiles, examples @ ..] = &displays.iter().filter(is_toml).collect::<Vec<_>>()[..] else {
        panic!("no profiles")
    };
    assert_eq!(examples.len(), 3);
    for example in examples {
        Config::parse(example).and_then(|c| c.profiles()).expect("the example is read");
    }
    let built_in = Config::default().profiles().expect("profiles");
    // under other names, so that no key comes from the built-in ones
    let renamed = Config::parse(&profiles.replace("[provider.", "[provider.x-")).expect("parses");
    for (name, profile) in &built_in {
        let of_page = renamed.profile(&format!("x-{name}")).expect("stands in the page");
        assert_eq!(format!("{of_page:?}"), format!("{profile:?}"), "{name}");
    }
    assert_eq!(renamed.profiles().expect("profiles").len(), 2 * built_in.len());
}

#[test]
fn the_front_page_names_every_state_and_every_kind_of_evidence() {
    let page = read("man/orch.7");
    let names = |section: &str| -> Words {
        let name = regex(r"\bEm ([a-z_]+)");
        let (_, rest) = page.split_once(&format!("\n.Ss {section}\n")).expect("the section");
        let part = rest.split("\n.S").next().expect("a part");
        name.captures_iter(part).map(|c| c[1].to_owned()).collect()
    };
    let tasks = orch::task::State::ALL.iter().map(|s| s.as_str());
    let attempts = orch::attempt::State::ALL.iter().map(|s| s.as_str());
    let states: Words = tasks.chain(attempts).map(str::to_owned).collect();
    assert_eq!(names("States of a task"), states);
    let mut evidence = names("Evidence");
    evidence.remove("unknown");
    let kinds = orch::event::Evidence::ALL.iter().map(|e| e.as_str().to_owned());
    assert_eq!(evidence, kinds.collect::<Words>());
}

#[test]
fn the_pages_are_clean_mdoc() {
    let (mut lint, checks): (Command, &str) =
        match Command::new("mandoc").arg("-Tlint").arg("/dev/null").output() {
            Ok(_) => (Command::new("mandoc"), "mandoc"),
            Err(_) if Command::new("groff").arg("--version").output().is_ok() => {
                (Command::new("groff"), "groff")
            }
            Err(_) => return println!("skipped: neither mandoc nor groff is here"),
        };
    match checks {
        "mandoc" => lint.args(["-Tlint", "-W", "warning"]),
        _ => lint.args(["-mdoc", "-Tutf8", "-ww", "-z"]),
    };
    let out = lint.args(files("man").iter().map(|f| root().join(f))).output().expect("runs");
    let told = [out.stdout, out.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
    assert!(out.status.success() && told.is_empty(), "{checks}: {told}");
}

#[test]
fn the_completions_are_what_the_programs_print() {
    let mut wanted = Words::new();
    for (name, _) in programs() {
        for (shell, file) in [
            ("bash", format!("completions/{name}.bash")),
            ("zsh", format!("completions/_{name}")),
            ("fish", format!("completions/{name}.fish")),
        ] {
            let out = Command::new(bin_dir().join(&name)).args(["--completions", shell]).output();
            let printed = String::from_utf8(out.expect("runs").stdout).expect("UTF-8");
            assert!(printed.len() > 100, "{name}: {shell}: {printed:?}");
            assert!(read(&file) == printed, "{file} is not what {name} prints: make completions");
            wanted.insert(file);
        }
    }
    assert_eq!(files("completions").into_iter().collect::<Words>(), wanted);
}
