//! The requests of the page and the replies to them.

use fourtuple_web::answer;
use serde_json::{Value, json};

const REPORT: &str = "\
about: Can a plain connect() use a port that another program bound?
kernel: [rhel-6.5, linux-6.18]
hosts:
  app:
    addresses: [192.168.0.12]
    sysctl: { net.ipv4.ip_local_port_range: 40000-40003 }
  api: { addresses: [192.168.0.4, 192.168.0.5], listen: ['192.168.0.4:3000', '192.168.0.5:3000'] }
processes:
  binders: { on: app, count: 4, bind: '192.168.0.12:0', connect: '192.168.0.4:3000' }
  plain: { on: app, after: binders, count: 4, connect: '192.168.0.5:3000' }
";

fn ask(verb: &str, mut request: Value) -> Value {
    request["do"] = verb.into();
    let reply = answer(&request.to_string(), &mut |_, _| ());
    serde_json::from_str(&reply).expect("a reply is JSON")
}

fn ok(verb: &str, request: Value) -> Value {
    let mut reply = ask(verb, request);
    assert!(reply.get("ok").is_some(), "{reply}");
    reply["ok"].take()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

#[test]
fn about_lists_kernels_from_the_oldest_on() {
    let about = ok("about", json!({}));
    assert_eq!(about["kernels"][0]["name"], "linux-2.6.32");
    assert!(about["kernels"].as_array().expect("a list").len() > 60);
}

#[test]
fn wrong_field_has_its_place_in_utf16() {
    let wrong = REPORT
        .replace("about: Can", "about: 🙂 Can")
        .replace("count: 4, bind", "cuont: 4, bind");
    let reply = ask("check", json!({ "text": wrong }));
    let problem = &reply["invalid"]["problems"][0];
    let at = wrong.find("cuont").expect("it is there");
    let from = wrong[..at].encode_utf16().count();
    assert_eq!(
        (&problem["from"], &problem["to"]),
        (&json!(from), &json!(from + 5))
    );
    assert_eq!(problem["line"], 9);
    assert!(text(&problem["message"]).contains("cuont"), "{problem}");
    assert!(
        text(&reply["invalid"]["text"]).contains("--> scenario.yaml:9"),
        "{reply}"
    );
}

#[test]
fn run_gives_the_sentence_the_results_and_the_reason() {
    let ran = ok("run", json!({ "text": REPORT, "kernel": ["linux-6.18"] }));
    let answer = &ran["answers"][0];
    assert_eq!(
        (&answer["refused"], &answer["total"]),
        (&json!(4), &json!(8))
    );
    assert_eq!(
        answer["results"][2]["answers"],
        json!([["EADDRNOTAVAIL", 4]])
    );
    assert!(
        text(&ran["sentence"]).starts_with("On linux-6.18, 4 of 8 sockets get no port: "),
        "{ran}"
    );
    assert!(text(&ran["text"]).contains("checked: linux-6.18"), "{ran}");
}

#[test]
fn steps_have_the_bucket_after_each_call() {
    let steps = ok(
        "steps",
        json!({ "text": REPORT, "kernel": ["linux-6.18"], "point": 0 }),
    );
    let calls = steps["calls"].as_array().expect("a list");
    let states = steps["states"].as_array().expect("a list");
    assert_eq!(
        steps["tables"][0],
        json!({ "host": "app", "kind": "Bind buckets", "low": 40000, "high": 40003 })
    );
    let first = calls
        .iter()
        .position(|call| call["call"] == "bind")
        .expect("a bind");
    let after = states
        .iter()
        .find(|one| one["calls"] == first + 1)
        .expect("a state");
    let bucket = &after["changes"][0]["now"];
    assert_eq!(
        (&bucket["use"], &bucket["marks"]),
        (&json!("bound"), &json!([0, 0]))
    );
    let local = text(&calls[first]["local"]);
    assert!(
        local.ends_with(&format!(":{}", after["changes"][0]["port"])),
        "{local}"
    );
    assert!(calls.last().is_some_and(|call| call["why"].is_string()));
}

#[test]
fn fix_is_an_edit_that_works() {
    let mut heard = 0;
    let request = json!({ "do": "fixes", "text": REPORT, "kernel": ["linux-6.18"] });
    let reply = answer(&request.to_string(), &mut |_, _| heard += 1);
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    assert!(heard > 0, "progress is reported");
    let case = &reply["ok"]["cases"][0];
    let works = case["remedies"].as_array().expect("a list").iter();
    let first = works
        .clone()
        .position(|one| one["effect"] == "always")
        .expect("a fix");
    let edit = &case["edits"][first];
    let diff = edit["diff"].as_array().expect("a list");
    assert!(diff.iter().any(|line| line[0] == "+"));
    assert!(diff.len() < 40, "{diff:?}");
    let ran = ok(
        "run",
        json!({ "text": edit["text"], "kernel": ["linux-6.18"] }),
    );
    assert_eq!(ran["answers"][0]["refused"], 0, "{edit}");
    assert_eq!(
        ran["about"],
        "Can a plain connect() use a port that another program bound?"
    );
}

#[test]
fn kernels_are_compared_and_the_change_has_a_name() {
    let option = "count: 4, options: { bind_address_no_port: true }, bind";
    let text = REPORT.replace("count: 4, bind", option);
    let compared = ok("compare", json!({ "text": text, "kernel": ["all"] }));
    let history = &compared["histories"][0];
    assert_eq!(history["stretches"][1]["first"], "linux-4.2", "{history}");
    let behaviour = &history["changes"][0]["behaviours"][0][0];
    assert_eq!(behaviour, "bind_address_no_port", "{history}");
}

#[test]
fn capacity_has_a_curve() {
    let wide = REPORT.replace("40003", "40999");
    let capacity = ok(
        "capacity",
        json!({ "text": wide, "kernel": ["linux-6.18"] }),
    );
    let program = &capacity["cases"][0]["programs"][1];
    assert_eq!(program["to_one"]["counted"], 1000);
    assert_eq!(program["cost"].as_array().map(Vec::len), Some(5));
}

#[test]
fn tables_of_sockets_are_imported() {
    let ss = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\n\
              ESTAB 0 0 10.0.0.1:40000 10.0.0.9:443\n\
              TIME-WAIT 0 0 10.0.0.1:40001 10.0.0.9:443\n";
    let netstat = "tcp 0 0 10.0.0.1:40001 10.0.0.9:443 TIME_WAIT\n\
                   tcp 0 0 10.0.0.1:40002 10.0.0.9:443 ESTABLISHED\n\
                   tcp what is this\n";
    let sysctl = "net.ipv4.ip_local_port_range = 40000 40003\n";
    let capture = |tool: &str, text: &str| json!({ "tool": tool, "text": text });
    let captures = [
        capture("ss", ss),
        capture("netstat", netstat),
        capture("sysctl", sysctl),
    ];
    let made = ok("import", json!({ "captures": captures }));
    let yaml = text(&made["text"]);
    assert!(yaml.contains("40000-40003"), "{yaml}");
    assert!(yaml.contains("3 sockets with a port"), "{yaml}");
    assert!(
        made["notes"]
            .to_string()
            .contains("line 3 of netstat: tcp what is this"),
        "{made}"
    );
    ok("run", json!({ "text": yaml }));
    let nothing = [capture("/proc/net/tcp", "nothing of the kind")];
    let reply = ask("import", json!({ "captures": nothing }));
    assert!(reply["error"]["help"].is_string(), "{reply}");
}

#[test]
fn captures_are_understood_line_by_line() {
    let netstat = "tcp 0 0 10.0.0.1:40001 10.0.0.9:443 TIME_WAIT\n\
                   🙂 what is this\r\n\
                   tcp 0 0 0.0.0.0:22 0.0.0.0:* LISTEN\n";
    let read = ok("understood", json!({ "tool": "netstat", "text": netstat }));
    assert_eq!(read["contents"], "2 sockets: 1 listener, 1 in TIME-WAIT");
    assert_eq!(read["odd"], json!([{ "line": 2, "from": 46, "to": 61 }]));
    let sysctl = "net.ipv4.ip_local_port_range = 40000 40003\nnet.ipv4.tcp_tw_reuse = maybe\n";
    let read = ok("understood", json!({ "tool": "sysctl", "text": sysctl }));
    assert_eq!(
        read["contents"],
        "net.ipv4.ip_local_port_range = 40000 40003"
    );
    assert_eq!(read["odd"][0]["line"], 2);
    let reply = ask(
        "understood",
        json!({ "tool": "sysctl", "text": "vm.swappiness = 1" }),
    );
    assert!(reply["error"]["help"].is_string(), "{reply}");
}

#[test]
fn long_work_is_announced_and_unbounded_work_refused() {
    let many = REPORT.replace("count: 4, connect", "count: 100000, connect");
    let reply = ask("compare", json!({ "text": many, "kernel": ["all"] }));
    assert!(reply["long"]["calls"].as_u64() > Some(100_000), "{reply}");
    let endless = REPORT.replace(
        "count: 4, connect",
        "count: 60000, connections: 60000, connect",
    );
    let reply = ask("run", json!({ "text": endless, "patient": true }));
    assert!(reply.get("ok").is_none(), "{reply}");
}

#[test]
fn hostile_requests_get_a_reply() {
    for request in [
        "",
        "{}",
        "[]",
        "{\"do\":\"run\"}",
        "{\"do\":\"launch\"}",
        "\u{0}",
    ] {
        let reply = answer(request, &mut |_, _| ());
        assert!(reply.contains("error"), "{reply}");
    }
    let bombs = [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]".to_owned(),
        format!("about: {}", "[".repeat(100_000)),
        format!(
            "about: x\nhosts: {{ h: {{ addresses: [{}] }} }}",
            "10.0.0.1,".repeat(100_000)
        ),
        "about: \u{1b}[31m\u{202e}<script>alert(1)</script>".to_owned(),
    ];
    for text in bombs {
        for verb in [
            "check", "run", "fixes", "compare", "capacity", "lint", "explain", "steps",
        ] {
            let reply = ask(verb, json!({ "text": text }));
            assert!(reply.get("invalid").is_some(), "{verb}: {reply}");
        }
    }
    let reply = ask("run", json!({ "text": REPORT, "kernel": ["linux-99.1"] }));
    assert_eq!(reply["error"]["message"], "unknown kernel `linux-99.1`");
}
