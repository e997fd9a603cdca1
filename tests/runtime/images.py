"""What stands for the images: Debian's nginx and PHP-FPM, laid out and configured as the official images are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.runtime.needs import binary
from tests.runtime.pods import Image

_NGINX_CONF = """\
worker_processes auto;
error_log stderr notice;
pid /run/nginx.pid;
events {
    worker_connections 1024;
}
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    sendfile on;
    keepalive_timeout 65;
    client_body_temp_path /var/cache/nginx/client_temp;
    fastcgi_temp_path /var/cache/nginx/fastcgi_temp;
    proxy_temp_path /var/cache/nginx/proxy_temp;
    scgi_temp_path /var/cache/nginx/scgi_temp;
    uwsgi_temp_path /var/cache/nginx/uwsgi_temp;
    include /etc/nginx/conf.d/*.conf;
}
"""
_STATIC_SITE = """\
server {
    listen 80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html;
    }
}
"""
_FPM_CONF = "[global]\ninclude=/usr/local/etc/php-fpm.d/*.conf\n"
# The pool's processes are not the official image's: a handover needs as many as there are slow requests at once.
_FPM_POOLS = {
    "docker.conf": """\
[global]
error_log = /proc/self/fd/2
log_limit = 8192

[www]
clear_env = no
catch_workers_output = yes
decorate_workers_output = no
""",
    "www.conf": """\
[www]
user = www-data
group = www-data
listen = 127.0.0.1:9000
pm = static
pm.max_children = 24
""",
    "zz-docker.conf": """\
[global]
daemonize = no

[www]
listen = 9000
""",
}


def nginx(folder: Path, files: Mapping[str, str | bytes] | None = None) -> Image:
    """Makes nginx's image in a folder, with a static site of these files if there are any."""
    # error_log is also where nginx writes before it has read its configuration.
    image = _image(folder, [str(binary("nginx-light")), "-g", "daemon off;"], "/usr/share/nginx")
    image.write("/etc/nginx/nginx.conf", _NGINX_CONF)
    for name in ("mime.types", "fastcgi_params"):
        image.write(f"/etc/nginx/{name}", Path("/etc/nginx", name).read_bytes())
    image.write("/etc/nginx/conf.d/default.conf", _STATIC_SITE)
    for path, content in (files or {}).items():
        image.write(f"/usr/share/nginx/html/{path}", content)
    return image


def php(folder: Path, code: Path, code_path: str, files: Mapping[str, str | bytes] | None = None) -> Image:
    """Makes the image of PHP-FPM with a site's code, and more files beside it."""
    # Without a php.ini, as the official image is.
    config = "/usr/local/etc/php-fpm.conf"
    image = _image(folder, [str(binary("php-fpm")), "-n", "--fpm-config", config], "/usr/local")
    image.write(config, _FPM_CONF)
    for name, text in _FPM_POOLS.items():
        image.write(f"/usr/local/etc/php-fpm.d/{name}", text)
    shutil.copytree(code, image.path(code_path))
    for path, content in (files or {}).items():
        image.write(f"{code_path}/{path}", content)
    return image


def _image(folder: Path, command: list[str], tree: str) -> Image:
    root, own = folder / "root", folder / "tree"
    for path in ("etc", "tmp", "run", "var/log", "usr"):
        (root / path).mkdir(parents=True)
    own.mkdir()
    image = Image(root, command, {tree: own})
    image.write(
        "/etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/false\nnginx:x:101:101::/:/bin/false\n"
    )
    image.write("/etc/group", "root:x:0:\nwww-data:x:33:\nnginx:x:101:\n")
    for name in ("tmp", "run"):
        # Writable to anyone, so that nothing but the read-only root stops a container from writing there.
        (root / name).chmod(0o1777)
    return image
