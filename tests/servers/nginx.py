"""nginx in front of a registry, one virtual host a behaviour, each on its own port and with every request logged as JSON.

  front      passes everything on (HTTP/2)                  redirecting  sends blob requests elsewhere, needs a login
  elsewhere  serves the blobs redirected to it              slow         front at `slow_rate`
  mirror     the registry below the path /hub/              no_range     ignores Range
"""
import json
import os
import subprocess

from server import Server, free_port

LOG_FORMAT = (
    '{"host":"$server_name","method":"$request_method","path":"$request_path","status":$status,"range":"$http_range",'
    '"sent":$body_bytes_sent,"authorization":"$auth_kind","protocol":"$server_protocol"}'
)

# A credential in a log would be a leak of its own: only the scheme is kept.
HEAD = """
daemon off; pid {directory}/pid; error_log {directory}/log warn; worker_processes 1; {user}
events {{ worker_connections 512; }}
http {{
  map $http_authorization $auth_kind {{ "" none; "~^Basic " Basic; "~^Bearer " Bearer; default other; }}
  map $request_uri $request_path {{ "~^(?<path>[^?]*)" $path; }}
  log_format json escape=json '{log_format}';
  access_log {directory}/access.jsonl json;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  proxy_http_version 1.1; proxy_ssl_verify off; proxy_buffering off; proxy_set_header Host $http_host;
  ssl_certificate {certificate}; ssl_certificate_key {key};
"""
BLOB = "^/v2/.+/blobs/sha256:((..).+)$"


class Nginx(Server):
    def __init__(self, tls, registry, storage, users=None, slow_rate="2m"):
        super().__init__()
        self.access_log = self.directory / "access.jsonl"
        names = ("front", "redirecting", "elsewhere", "slow", "mirror", "no_range")
        self.port = {name: free_port() for name in names}
        self.ports = list(self.port.values())
        self.host = {name: f"127.0.0.1:{port}" for name, port in self.port.items()}
        blobs = f"{storage}/docker/registry/v2/blobs/sha256"
        upstream = f"proxy_pass {registry.url};"
        password_file = self.directory / "htpasswd"
        password_file.write_text("".join(self._hash(*user) for user in (users or {}).items()))
        login = f'auth_basic "redirecting"; auth_basic_user_file {password_file}; proxy_set_header Authorization "";' if users else ""
        # Another name for loopback, as real redirects go to another host.
        away = f"https://localhost:{self.port['elsewhere']}"
        servers = {
            "front": f"location / {{ {upstream} }}",
            "redirecting": f"location ~ {BLOB} {{ {login} return 307 {away}/$2/$1/data?signature=secret; }}"
            f" location / {{ {login} {upstream} }}",
            "elsewhere": f"root {blobs};",
            "slow": f"location ~ {BLOB} {{ root {blobs}; rewrite {BLOB} /$2/$1/data break; limit_rate {slow_rate}; }}"
            f" location / {{ {upstream} }}",
            "mirror": f"location /hub/ {{ rewrite ^/hub(/.*)$ $1 break; {upstream} }} location / {{ return 404; }}",
            "no_range": f"location ~ {BLOB} {{ root {blobs}; rewrite {BLOB} /$2/$1/data break; max_ranges 0; limit_rate {slow_rate}; }}"
            f" location / {{ {upstream} }}",
        }
        user = "user root;" if os.geteuid() == 0 else ""  # else its workers become nobody, who can't read the fixtures
        head = HEAD.format(directory=self.directory, log_format=LOG_FORMAT, certificate=tls[0], key=tls[1], user=user)
        body = "".join(
            f"  server {{ listen 127.0.0.1:{self.port[name]} ssl http2; server_name {name}; {rules} }}\n"
            for name, rules in servers.items()
        )
        (self.directory / "nginx.conf").write_text(head + body + "}\n")

    @staticmethod
    def _hash(name, password):
        done = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], input=password, capture_output=True, text=True, check=True)
        return f"{name}:{done.stdout.strip()}\n"

    def command(self):
        return ["/usr/sbin/nginx", "-e", str(self.log), "-p", str(self.directory), "-c", str(self.directory / "nginx.conf")]

    def requests(self, **wanted):
        """The requests so far whose fields equal `wanted`; blob=True keeps those for blobs that got content."""
        blob = wanted.pop("blob", False)
        lines = self.access_log.read_text().splitlines() if self.access_log.exists() else []
        entries = [json.loads(line) for line in lines]
        if blob:
            entries = [e for e in entries if ("/blobs/" in e["path"] or e["path"].endswith("/data")) and e["status"] in (200, 206)]
        return [e for e in entries if all(e[key] == value for key, value in wanted.items())]
