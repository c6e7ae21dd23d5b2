//! A real nginx in a private directory: own configuration, prefix, pid file and ports; a master with workers, ended by pid.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::child::{Output, Server, User, as_user, run};
use super::{free_port, is_root, place, program, wait_for};

/// One server block.
#[derive(Clone, Debug)]
pub struct Site {
    pub port: u16,
    pub name: String,
    /// Lines that name certificate and key: usually `include RUN/NAME/nginx.conf;`.
    pub certificate: String,
}

/// An nginx, running or not.
pub struct Nginx {
    pub dir: PathBuf,
    pub sites: Vec<Site>,
    user: Option<User>,
    server: Option<Server>,
}

impl Nginx {
    /// An nginx with nothing to serve yet, not started.
    pub fn new(user: Option<User>) -> Self {
        let dir = place::directory("nginx");
        if let Some(user) = user {
            std::os::unix::fs::chown(&dir, Some(user.uid), Some(user.gid)).expect("chown");
        }
        Self { dir, sites: Vec::new(), user, server: None }
    }

    /// Adds a server block on a free port that serves what this file names.
    pub fn include(&mut self, name: &str, file: &Path) -> u16 {
        self.site(name, &format!("include {};", file.display()))
    }

    /// Adds a server block on a free port that always serves this pair.
    pub fn fixed(&mut self, name: &str, certificate: &Path, key: &Path) -> u16 {
        self.site(name, &format!("ssl_certificate {}; ssl_certificate_key {};", certificate.display(), key.display()))
    }

    fn site(&mut self, name: &str, certificate: &str) -> u16 {
        let port = free_port();
        self.sites.push(Site { port, name: name.to_owned(), certificate: certificate.to_owned() });
        self.write();
        port
    }

    pub fn conf(&self) -> PathBuf {
        self.dir.join("nginx.conf")
    }

    pub fn pid_file(&self) -> PathBuf {
        self.dir.join("nginx.pid")
    }

    /// Its settings entry for `reload`.
    pub fn driver(&self) -> String {
        let (conf, dir, pid) = (self.conf(), self.dir.clone(), self.pid_file());
        format!("{{ nginx = {{ conf = \"{}\", prefix = \"{}\", pid = \"{}\" }} }}", conf.display(), dir.display(), pid.display())
    }

    /// Writes the configuration.
    pub fn write(&self) {
        self.write_with("");
    }

    /// Writes a configuration that nginx refuses to load, as a person's mistake would.
    pub fn write_broken(&self) {
        self.write_with("this_directive_does_not_exist on;\n");
    }

    fn write_with(&self, extra: &str) {
        let dir = self.dir.display();
        // As root the workers would become www-data, who may not enter this directory.
        let user = if is_root() && self.user.is_none() { "user root;\n" } else { "" };
        let mut text = format!(
            "{user}{extra}daemon off;\nworker_processes 2;\npid {dir}/nginx.pid;\nerror_log {dir}/error.log info;\n\
             events {{ worker_connections 256; }}\nhttp {{\n  access_log off;\n  client_body_temp_path {dir}/body;\n  proxy_temp_path {dir}/proxy;\n  \
             fastcgi_temp_path {dir}/fastcgi;\n  uwsgi_temp_path {dir}/uwsgi;\n  scgi_temp_path {dir}/scgi;\n"
        );
        for site in &self.sites {
            text.push_str(&format!(
                "  server {{ listen 127.0.0.1:{} ssl; server_name {}; {} location / {{ return 200 \"ok\\n\"; }} }}\n",
                site.port, site.name, site.certificate
            ));
        }
        text.push_str("}\n");
        std::fs::write(self.conf(), text).expect("nginx.conf");
    }

    fn command(&self, death: Option<&str>) -> std::process::Command {
        let nginx = program("nginx").expect("nginx is missing: `./run test` names the package");
        let mut command = as_user(self.user, death, &nginx);
        command.arg("-e").arg(self.dir.join("error.log")).arg("-p").arg(&self.dir).arg("-c").arg(self.conf());
        command
    }

    /// Starts it and waits until every port answers.
    pub fn start(&mut self) {
        assert!(self.server.is_none(), "nginx is running");
        // TERM at our death, not KILL: a killed master leaves its workers behind.
        self.server = Some(Server::start(self.command(Some("TERM")), &self.dir.join("start.log"), Signal::TERM));
        wait_for("nginx to listen", Duration::from_secs(10), || {
            assert!(self.server.as_mut().is_some_and(Server::alive), "nginx ended:\n{}", self.log());
            let listens = |site: &Site| std::net::TcpStream::connect(("127.0.0.1", site.port)).is_ok();
            self.pid_file().is_file() && self.sites.iter().all(listens)
        });
    }

    /// Ends it, workers and all.
    pub fn stop(&mut self) {
        self.server.take();
    }

    pub fn running(&mut self) -> bool {
        self.server.as_mut().is_some_and(Server::alive)
    }

    /// `nginx -s reload`, as an administrator would.
    pub fn reload(&self) -> Output {
        let mut command = self.command(None);
        command.args(["-s", "reload"]);
        run(command, Duration::from_secs(10))
    }

    /// `nginx -t`.
    pub fn test(&self) -> Output {
        let mut command = self.command(None);
        command.arg("-t");
        run(command, Duration::from_secs(10))
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        ["start.log", "error.log"].iter().filter_map(|f| std::fs::read_to_string(self.dir.join(f)).ok()).collect()
    }
}
