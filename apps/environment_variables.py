"""The environment variables of Aphiria's API: the contract between the site's code and its deployment."""

from __future__ import annotations

from apps.environments import Hosting, Values
from constructs_lib.database import DatabaseConnection

CONFIG_MAP = "env-vars"
SECRET = "env-var-secrets"  # noqa: S105 - a Secret's name
PASSWORD_KEY = "DB_PASSWORD"  # noqa: S105 - a key's name

REQUIRED = (
    "DB_HOST",
    "DB_PORT",
    "DB_NAME",
    "DB_USER",
    "APP_ENV",
    "WEB_URL",
    "API_URL",
    "APP_WEB_URL",
    "APP_API_URL",
    "APP_COOKIE_DOMAIN",
    "APP_COOKIE_SECURE",
    "APP_BUILDER_API",
    "APP_BUILDER_CONSOLE",
    "LOG_LEVEL",
)
"""What the code cannot do without."""


def variables(values: Values, hosting: Hosting, database: DatabaseConnection) -> dict[str, str]:
    """Gives the variables of an environment that are not secret."""
    return {
        "DB_HOST": database.host,
        "DB_PORT": str(database.port),
        "DB_NAME": str(database.database),
        "DB_USER": str(database.role),
        # The site's configuration of its migrations knows these three.
        "APP_ENV": values.kind.value,
        "WEB_URL": hosting.web_url,
        "API_URL": hosting.api_url,
        "APP_WEB_URL": hosting.web_url,
        "APP_API_URL": hosting.api_url,
        "APP_COOKIE_DOMAIN": hosting.cookie_domain,
        "APP_COOKIE_SECURE": "1",
        "APP_BUILDER_API": r"\Aphiria\Framework\Api\SynchronousApiApplicationBuilder",
        "APP_BUILDER_CONSOLE": r"\Aphiria\Framework\Console\ConsoleApplicationBuilder",
        "LOG_LEVEL": values.log_level,
        **({"PR_NUMBER": str(values.number)} if values.number else {}),
    }
