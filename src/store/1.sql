-- What is to be done.
create table tasks (
  id            integer primary key autoincrement,  -- never reused
  state         text not null check (state in ('held','queued','assigned','running','waiting','unknown','completed','failed','cancelled')),  -- scheduled: queued with not_before
  reason        text,                               -- why it is held, waiting, unknown, failed, or queued again
  content       text not null,                      -- a prompt, or a shell command for provider 'shell'
  provider      text not null,                      -- fixed at enqueue
  priority      integer not null default 0,         -- higher first
  session       text,                               -- the only session it may run in, by name
  context       text not null,                      -- canonical JSON: env, git_branch, prerequisites, working_dir
  context_hash  text not null,                      -- SHA-256 of context, hexadecimal: to group tasks by
  working_dir   text,                               -- of context: absolute, canonical
  git_branch    text,                               -- of context
  tree          text,                               -- top level of the repository that working_dir lies in, or working_dir
  key           text,                               -- the same key gives the same task
  group_name    text,                               -- tasks that belong together
  conversation  text check (conversation in ('fresh','continue')),  -- in a live client; null: goes on only with its own group's
  max_attempts  integer not null check (max_attempts > 0),  -- counted attempts before it is failed
  timeout_ms    integer check (timeout_ms > 0),     -- of one attempt
  verify        text,                               -- a shell command that must succeed before a success is believed
  accept        text not null check (accept in ('none','pattern','summary','sentinel','status','exit','protocol')),  -- weakest evidence that ends it
  not_before    integer,                            -- UTC milliseconds
  once          integer not null default 0 check (once in (0, 1)),  -- 1: made by orch-wrap for one run, never queued
  forgiven      integer not null default 0,         -- attempts up to this number no longer count
  created_at    integer not null,                   -- UTC milliseconds
  updated_at    integer not null,                   -- UTC milliseconds
  ended_at      integer                             -- UTC milliseconds, of a final state
) strict;
create unique index tasks_key on tasks (key) where key is not null;
create index tasks_queued on tasks (priority desc, id) where state = 'queued';
create index tasks_queued_dir on tasks (working_dir, priority desc, id) where state = 'queued' and working_dir is not null;
create index tasks_open on tasks (state) where state in ('held','assigned','running','waiting','unknown');

-- A task waits for others.
create table dependencies (
  task_id     integer not null references tasks (id),  -- waits
  depends_on  integer not null references tasks (id),  -- for this one
  any_end     integer not null check (any_end in (0, 1)),  -- 1: any final state will do, 0: completed
  primary key (task_id, depends_on)
) strict, without rowid;
create index dependencies_on on dependencies (depends_on);

-- A named slot that one tmux pane fills.
create table sessions (
  id             integer primary key autoincrement,
  name           text not null unique,  -- as people call it
  provider       text,                     -- label: earns a task of that provider its bonus
  paused         text,                     -- why nothing is given to it, null when it works
  socket         text not null,            -- tmux socket path
  server_pid     integer not null,         -- the tmux server's process
  pane_id        text not null,            -- %N
  pane_pid       integer not null,         -- the pane's process
  pane_start     integer not null,         -- its start time: with boot_id no other process can be taken for it
  boot_id        text not null,  -- of the machine's run that the process belongs to
  condition      text not null check (condition in ('starting','idle','working','waiting','rate_limited','error','blocked','dead','unknown')),  -- what fills its pane is doing
  condition_why  text,                     -- what runs there, what it asks, or what keeps a line from being typed
  condition_since integer,                 -- UTC milliseconds: since when, as far as is known
  shell          text,                     -- the pane's shell by name, null where its process is none
  agent          text,                     -- the provider whose live client is the pane's process, null where it is none
  agent_session  text,                     -- that client's own session id
  agent_version  text,                     -- that client's version
  working_dir    text,                     -- where it is, last seen
  git_branch     text,                     -- of that directory
  tree           text,                     -- top level of its repository, or working_dir
  prompt         text not null default '{}',  -- JSON: what stood there when the pane was adopted
  avoid_until    integer,                  -- UTC milliseconds: a line typed there came to nothing
  avoid_why      text,                     -- what became of that line
  last_active_at integer,                  -- UTC milliseconds: last start or end of an attempt
  seen_at        integer                   -- UTC milliseconds: last looked at
) strict;
create unique index sessions_pane on sessions (socket, pane_id) where condition <> 'dead';

-- One delivery of one task to one incarnation of a session.
create table attempts (
  id             integer primary key autoincrement,
  task_id        integer not null references tasks (id),  -- what is to be done
  number         integer not null check (number > 0),  -- 1, 2, … of its task
  state          text not null check (state in ('claimed','sending','running','waiting','unknown','completed','failed','lost','refused','context_failed','cancelled')),  -- open: claimed to unknown
  reason         text,                     -- why it is in that state
  fed            integer not null default 0 check (fed in (0, 1)),  -- 1: its events come by hand, no orch-wrap runs it
  counts         integer not null default 1 check (counts in (0, 1)),  -- 1: one of max_attempts
  session_id     integer references sessions (id),  -- null: begun by hand, outside any session
  incarnation    text,                     -- JSON of what filled the session then
  token          text not null,            -- 128 random bits, never typed: fences every later change
  owner          text,                     -- PID:START:BOOT of the process that has it in hand
  lease_until    integer not null,         -- UTC milliseconds: when to look whether the owner is still there
  orphaned       integer not null default 0 check (orphaned in (0, 1)),  -- 1: the owner is gone, processes of it survived
  receipt        text,                     -- JSON of what was pasted into a live client, null where orch-wrap runs it: transport, sha256, bytes, evidence, and from which byte of its record on the turn is written
  cancel_asked   text,                     -- why a person wants it ended, while its owner still runs
  tree           text,                     -- held while the attempt is open
  git_branch     text,                     -- wanted there
  agent_session  text,                     -- the agent's own session id
  evidence       text not null default 'none' check (evidence in ('none','pattern','summary','sentinel','status','exit','protocol')),  -- what its state rests on
  confidence     real,                     -- 0 to 1
  answer         text,                     -- the final message
  note           text,                     -- words that qualify a success
  exit_code      integer,                  -- of the process; 128+n: signal n
  input_tokens   integer,  -- cached ones included
  output_tokens  integer,  -- of all turns
  cost_usd       real,  -- of all turns, as the agent says
  tests          text,                     -- JSON of the last test summary: framework, passed, failed, errors, skipped
  claimed_at     integer not null,         -- UTC milliseconds
  started_at     integer,                  -- UTC milliseconds
  ended_at       integer,                  -- UTC milliseconds
  unique (task_id, number)
) strict;
create unique index attempts_one_per_task on attempts (task_id) where state in ('claimed','sending','running','waiting','unknown');
create unique index attempts_one_per_session on attempts (session_id) where state in ('claimed','sending','running','waiting');
create index attempts_open on attempts (tree) where state in ('claimed','sending','running','waiting','unknown');
create index attempts_by_session on attempts (session_id, id);
create index attempts_by_agent on attempts (agent_session) where agent_session is not null;

-- What was said, and what was done about it.
create table events (
  id          integer primary key autoincrement,
  at          integer not null,            -- UTC milliseconds: when it was kept
  attempt_id  integer references attempts (id),  -- whose event, if an attempt's
  task_id     integer references tasks (id),  -- whose event, if a task's
  session_id  integer references sessions (id),  -- where
  stream      text not null,               -- where it came from: 'orch' is this toolkit itself
  seq         integer not null,            -- its number in that stream
  standing    text not null check (standing in ('owner','claim','refused')),  -- who said it: only 'owner' moves a state
  type        text not null,               -- orch-events(5)
  body        text not null                -- the event line
) strict;
create unique index events_once on events (attempt_id, stream, seq) where attempt_id is not null;
create index events_by_task on events (task_id, id) where task_id is not null;
create index events_by_session on events (session_id, id) where session_id is not null;

-- An account that has hit its limit: its tasks wait.
create table limits (
  account  text primary key,               -- of a profile
  until    integer not null,               -- UTC milliseconds
  reason   text not null                  -- what the account said
) strict, without rowid;

-- Small facts about the toolkit's own work.
create table facts (
  name   text primary key,                 -- 'last_pass': the last pass of orch-assign
  at     integer not null                  -- UTC milliseconds
) strict, without rowid;

-- Tasks for people, the last attempt beside them. Every program reads this at its start: no column too many.
create view v_tasks as
select t.*, a.number as attempts, a.evidence, a.exit_code, a.cost_usd, a.tests, a.note,
       (select name from sessions where id = a.session_id) as ran_in, datetime(created_at / 1000, 'unixepoch') as created
from tasks t
left join attempts a on a.task_id = t.id and a.number = (select max(number) from attempts where task_id = t.id);

-- Sessions for people.
create view v_sessions as
select s.*, a.task_id as task, a.state as attempt, datetime(seen_at / 1000, 'unixepoch') as seen
from sessions s
left join attempts a on a.session_id = s.id and a.state in ('claimed','sending','running','waiting');
