/** The requests and replies of `crates/web`, whose types are the source of these. */

/** A scenario with what overrides it. */
export interface Asked {
    text: string;
    file?: string;
    kernel?: string[];
    seed?: number;
    patient?: boolean;
}

/** Each request with the answer to it. */
export interface Requests {
    about: { asked: object; answer: About };
    check: { asked: Asked; answer: Problems };
    lint: { asked: Asked; answer: Problems };
    run: { asked: Asked; answer: Ran };
    explain: { asked: Asked; answer: string };
    document: { asked: Asked; answer: string };
    steps: { asked: Asked & { point: number }; answer: Steps };
    compare: { asked: Asked; answer: Compared };
    fixes: { asked: Asked; answer: Fixes };
    capacity: { asked: Asked; answer: Capacities };
    import: { asked: { captures: Capture[]; kernel?: string[] }; answer: Imported };
    understood: { asked: Capture; answer: Understood };
}

export type Verb = keyof Requests;

/** A reply: exactly one of these. */
export type Reply<Answer> =
    | { ok: Answer }
    | { invalid: Problems & { text: string } }
    | { long: { calls: number; seconds: number } }
    | { error: { message: string; help: string | null } };

export interface About {
    version: string;
    kernels: { name: string; about: string | null }[];
}

export interface Problems {
    problems: Problem[];
}

export interface Problem {
    rule: string | null;
    message: string;
    label: string;
    notes: string[];
    help: string | null;
    line: number;
    column: number;
    from: number;
    to: number;
}

export interface Ran {
    text: string;
    name: string;
    about: string;
    source: string[];
    verdict: 'failed' | 'as-expected' | 'incomplete' | 'nothing-expected';
    sentence: string;
    answers: Answer[];
    unmet: string[];
    not_run: string[];
    notes: string[];
    checked: string;
}

export interface Answer {
    title: string;
    point: number;
    kernels: string[];
    sentence: string;
    ok: number;
    refused: number;
    total: number;
    results: { process: string; call: string; answers: [string, number][] }[];
    reasons: { plain: string; rule: string; text: string; ports: string; path: string[] }[];
    calls: string;
}

/** A port in use. */
export interface Port {
    use: string;
    /** `fastreuse` and `fastreuseport` of a bind bucket. */
    marks: [number, number] | null;
    owners: string[];
}

/** The ports of a host in one of its tables. */
export interface Table {
    host: string;
    kind: string;
    low: number;
    high: number;
}

export interface Call {
    at_ns: number;
    host: string;
    process: string;
    socket: string;
    call: string;
    args: string;
    result: string;
    local: string | null;
    why: string | null;
}

export interface Steps {
    kernel: string;
    point: string[];
    tables: Table[];
    calls: Call[];
    states: {
        at_ns: number;
        calls: number;
        changes: { table: number; port: number; now: Port | null }[];
    }[];
    total: number;
}

export interface Compared {
    text: string;
    answers: Answer[];
    histories: {
        point: string;
        stretches: { first: string; last: string; answer: number | null }[];
        changes: { from: string; to: string; alone: boolean; behaviours: [string, string][] }[];
    }[];
}

export interface Edit {
    text: string;
    diff: ['-' | '+' | ' ' | '@', string][];
    keeps_layout: boolean;
}

export interface Remedy {
    id: string;
    name: string;
    who: string[];
    since: string;
    change: string;
    effect: string;
    seeds?: { good: number; of: number };
    cost: string;
    why?: string;
    stale?: string;
}

export interface Fixes {
    text: string;
    cases: {
        kernel: string;
        point: string[];
        before: { refused: number; total: number };
        rule: [string, string] | null;
        regression?: string;
        findings?: { text: string; check: string }[];
        remedies: Remedy[];
        edits: (Edit | null)[];
    }[];
}

export interface MaxConnections {
    counted: number;
    /** None if ports set no limit. */
    formula: number | null;
    by: string;
    then: string | null;
}

export interface Capacities {
    text: string;
    cases: {
        kernel: string;
        point: string[];
        programs: {
            program: string;
            how: string;
            range: string;
            ports: number;
            to_one: MaxConnections;
            to_all: MaxConnections;
            destinations: number;
            rate: { per_second: number | null; by: string };
            cost: { fill: number; expected: number; most: number }[];
            through?: ThroughNat;
        }[];
    }[];
}

/** The first NAT host on the way of a program's packets. */
export interface ThroughNat {
    host: string;
    range: string;
    ports: number;
    shared_by: string;
    per_second: number | null;
    by: string;
    loss: { fill: number; connections: number; block: number; scattered: number }[];
}

/** The output of a tool. */
export interface Capture {
    tool: 'ss' | 'netstat' | '/proc/net/tcp' | 'sysctl';
    text: string;
}

export interface Understood {
    contents: string;
    left_out: string[];
    odd: { line: number; from: number; to: number }[];
    odd_total: number;
}

export interface Imported {
    text: string;
    notes: string[];
}
