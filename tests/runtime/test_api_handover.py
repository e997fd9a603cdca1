"""An API's pods come and go under load, and no request is lost: nginx and PHP-FPM end as their manifest says."""

from __future__ import annotations
