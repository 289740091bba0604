"""How this program signs in to NocoBase.

The environment (`NOCOBASE_API_KEY`, or `NOCOBASE_ACCOUNT` and `NOCOBASE_PASSWORD`) wins over the stack's secret
configuration value `nocobaseApiKey`. There is no other source, and no login is ever a property of a resource.
"""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from provisioning.errors import Problem

API_KEY = "nocobaseApiKey"
"""The configuration key of the API key; its value must be secret."""


class NocoBaseLogin(BaseSettings):
    """How this program signs in to NocoBase: by an API key, or by account and password."""

    model_config = SettingsConfigDict(env_prefix="NOCOBASE_", env_ignore_empty=True, frozen=True, extra="ignore")

    api_key: SecretStr | None = None
    account: str | None = None
    password: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then what the stack's secret configuration holds."""
        return (env_settings, init_settings)

    @classmethod
    def load(cls, configured_api_key: str | None) -> Self | None:
        """The login, or None where neither the environment nor the stack has one."""
        login = cls(api_key=SecretStr(configured_api_key) if configured_api_key else None)
        complete = login.api_key is not None or (login.account is not None and login.password is not None)
        return login if complete else None


def missing_login() -> Problem:
    """What to say when neither the environment nor the stack has a login to NocoBase."""
    why = "No login to NocoBase: neither NOCOBASE_API_KEY nor NOCOBASE_ACCOUNT with NOCOBASE_PASSWORD is set."
    remedy = f"export NOCOBASE_API_KEY=… (NocoBase: Settings → API keys), or pulumi config set --secret {API_KEY}"
    return Problem("NOCOBASE_API_KEY", None, why, remedy)
