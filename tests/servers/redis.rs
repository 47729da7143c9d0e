//! Private Redis servers: one, with a replica and a Sentinel, a Cluster, one that speaks TLS.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{Service, find};
use crate::support::wait_for;

/// Whether the programs are there.
pub fn is_here() -> bool {
    find("redis-server").is_some() && find("redis-cli").is_some()
}

fn command(dir: &Path, port: u16) -> Command {
    let mut command = Command::new(find("redis-server").unwrap());
    command.current_dir(dir).args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--dir", dir.to_str().unwrap(), "--save", "", "--appendonly", "yes"]);
    command
}

/// A server that loses nothing when it is killed.
pub fn server() -> Service {
    Service::start("redis-server", command)
}

/// What a server answers to a command.
pub fn ask(port: u16, words: &[&str]) -> String {
    let output = ask_with(port, words, None);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The same, in bytes, with the last word of the command from `input`.
pub fn ask_with(port: u16, words: &[&str], input: Option<&[u8]>) -> Output {
    let mut command = Command::new(find("redis-cli").unwrap());
    command.args(["--raw", "-h", "127.0.0.1", "-p", &port.to_string()]);
    if input.is_some() {
        command.arg("-x");
    }
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.unwrap_or_default()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// How many connections this program has to it.
pub fn connections(port: u16) -> usize {
    ask(port, &["CLIENT", "LIST"]).lines().filter(|line| line.contains("name=dewar")).count()
}

/// A primary, its replica, and a Sentinel that knows the primary as `sessions`.
pub struct Watched {
    pub primary: Service,
    pub replica: Service,
    pub sentinel: Service,
}

impl Watched {
    pub fn start() -> Self {
        let primary = server();
        let of = primary.port.to_string();
        let replica = Service::start("redis-server", move |dir, port| {
            let mut command = command(dir, port);
            command.args(["--replicaof", &format!("127.0.0.1 {of}")]);
            command
        });
        let of = primary.port;
        let sentinel = Service::start("redis-sentinel", move |dir, port| {
            let file = dir.join("sentinel.conf");
            let text = format!(
                "bind 127.0.0.1\nport {port}\nsentinel monitor sessions 127.0.0.1 {of} 1\n\
                 sentinel down-after-milliseconds sessions 500\n\
                 sentinel failover-timeout sessions 2000\n"
            );
            std::fs::write(&file, text).unwrap();
            let mut command = Command::new(find("redis-server").unwrap());
            command.current_dir(dir).arg(file).arg("--sentinel");
            command
        });
        let watched = Self { primary, replica, sentinel };
        wait_for("the Sentinel to see the replica", || {
            let info = ask(watched.sentinel.port, &["SENTINEL", "MASTER", "sessions"]);
            let words: Vec<&str> = info.lines().collect();
            let replicas = words.windows(2).find(|pair| pair[0] == "num-slaves")?[1];
            (replicas == "1").then_some(())
        });
        wait_for("the replica to follow", || {
            let info = ask(watched.replica.port, &["INFO", "replication"]);
            info.contains("master_link_status:up").then_some(())
        });
        watched
    }

    /// The port of the server that the Sentinel takes for the primary.
    pub fn primary_port(&self) -> u16 {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "sessions"];
        ask(self.sentinel.port, &words).lines().nth(1).unwrap().parse().unwrap()
    }
}

/// Three primaries with a third of the slots each.
pub fn cluster() -> [Service; 3] {
    let bus = |port: u16| port - 20_000;
    let start = || {
        Service::start("redis-server", move |dir, port| {
            let mut command = command(dir, port);
            command.args(["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]);
            command.args(["--cluster-node-timeout", "1000"]);
            command.args(["--cluster-port", &bus(port).to_string()]);
            command
        })
    };
    let nodes = [start(), start(), start()];
    for (node, range) in nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]) {
        assert_eq!(ask(node.port, &["CLUSTER", "ADDSLOTSRANGE", range.0, range.1]), "OK");
        let (port, bus) = (node.port.to_string(), bus(node.port).to_string());
        ask(nodes[0].port, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
    }
    for node in &nodes {
        wait_for("the Cluster", || {
            let info = ask(node.port, &["CLUSTER", "INFO"]);
            let whole = info.contains("cluster_state:ok") && info.contains("cluster_size:3");
            whole.then_some(())
        });
    }
    nodes
}

/// A server that speaks TLS alone, and the file with the authority that vouches for it.
pub fn with_tls() -> (Service, PathBuf) {
    let service = Service::start("redis-server", |dir, port| {
        if !dir.join("server.pem").exists() {
            certify(dir);
        }
        let mut command = command(dir, 0);
        command.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
        command.args(["--tls-cert-file", "server.pem", "--tls-key-file", "server.key"]);
        command.args(["--tls-ca-cert-file", "authority.pem"]);
        command
    });
    let authority = service.dir().join("authority.pem");
    (service, authority)
}

/// Makes an authority, and a certificate of its for this machine.
fn certify(dir: &Path) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.current_dir(dir).args(arguments.split(' '));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!("{key} -subj /CN=authority -keyout authority.key -out authority.pem"));
    openssl(&format!(
        "{key} -subj /CN=localhost -keyout server.key -out server.pem -CA authority.pem \
         -CAkey authority.key -addext basicConstraints=critical,CA:FALSE \
         -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    ));
}
