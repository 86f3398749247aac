"""The built-in source: the metrics page of each backend, asked for again and again.

A backend of an attested pool is told nothing, not even the question, unless it shows the key that
it has proved. One of another pool shows a certificate of the authorities that are configured, or is
asked in the clear because the configuration says `http://`.
"""

import asyncio
import contextlib
import random
import ssl
from typing import Final

from l4proxy.config.telemetry import OPENMETRICS, OpenMetricsSettings, Place
from l4proxy.control.scrape.connection import (
    MAX_LARGE_PAGES,
    PageConnection,
    ScrapeError,
    Terms,
    ask,
    connect,
    page_context,
)
from l4proxy.control.scrape.page import PageReader
from l4proxy.control.scrape.source import BadTelemetry, Report, ScrapeFault, Subject
from l4proxy.secret_file import BadSecretFile, no_password, read_token
from routing import PoolName

JITTER: Final = 0.1
"""Each wait is longer or shorter by up to this share, so that scrapes do not fall into step."""

MOST_DOUBLINGS: Final = 3
"""How often the wait for a backend that fails doubles: a handshake costs as much as 4 scrapes."""

# After these the next scrape is not put off: they cost no handshake, and end when a backend is up.
_CHEAP: Final = frozenset({None, ScrapeFault.UNATTESTED, ScrapeFault.UNREACHABLE})

_ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.9,*/*;q=0.1"


class OpenMetrics:
    """The kind, as it is registered."""

    name = OPENMETRICS
    settings = OpenMetricsSettings

    def make(self, settings: OpenMetricsSettings, pool: PoolName) -> "PageSource":
        """Return the source of a pool; tokens and certificates are read now.

        Raises:
            BadTelemetry: A file is missing, or holds something else.

        """
        try:
            token = "" if settings.token_file is None else read_token(settings.token_file)
            return PageSource(settings, _context(settings), token)
        except (OSError, BadSecretFile, ssl.SSLError) as error:
            raise BadTelemetry(f"telemetry of pool {pool}: {error}") from None


class PageSource:
    """Asks the backends of one pool for their pages."""

    def __init__(
        self, settings: OpenMetricsSettings, context: ssl.SSLContext | None, token: str = ""
    ) -> None:
        """Ask as the settings say.

        Args:
            settings: Where, and how often.
            context: Of TLS; None: in the clear.
            token: Shown to each backend; empty: none is.
        """
        self._settings = settings
        self._context = context
        self._token = token
        self._room = asyncio.Semaphore(MAX_LARGE_PAGES)

    async def watch(self, subject: Subject, report: Report) -> None:
        """Ask one backend, until cancelled."""
        every = self._settings.every
        visitor = self._visitor(subject)
        if visitor is None:
            report.failed(
                ScrapeFault.UNREACHABLE, "a unix socket has no host: write it into the url"
            )
            await asyncio.Event().wait()
            return
        failures = 0
        with contextlib.closing(visitor):
            await asyncio.sleep(every * _chance())
            while True:
                begun = asyncio.get_running_loop().time()
                failures = 0 if await visitor.scrape(report) in _CHEAP else failures + 1
                doubled = every * 2 ** max(0, min(failures - 1, MOST_DOUBLINGS))
                wait = doubled * (1 + JITTER * (2 * _chance() - 1))
                await asyncio.sleep(begun + wait - asyncio.get_running_loop().time())

    def _visitor(self, subject: Subject) -> "_Visitor | None":
        settings = self._settings
        place = settings.url.of(subject.address)
        if place is None:
            return None
        name = None if subject.server_name is None else str(subject.server_name)
        host = f"[{place.host}]" if ":" in place.host else place.host
        shown = f"Authorization: Bearer {self._token}\r\n" if self._token else ""
        question = (
            f"GET {settings.url.path} HTTP/1.1\r\nHost: {name or host}:{place.port}\r\n"
            f"User-Agent: l4proxy\r\nAccept: {_ACCEPT}\r\n{shown}\r\n"
        )
        terms = Terms(self._context, name, self._room)
        return _Visitor(subject, place, terms, question.encode("ascii"), settings.timeout)


class _Visitor:
    """Visits one backend, over one connection for as long as that lasts."""

    def __init__(
        self, subject: Subject, place: Place, terms: Terms, question: bytes, timeout: float
    ) -> None:
        self._subject = subject
        self._place = place
        self._terms = terms
        self._question = question
        self._timeout = timeout
        self._reader = PageReader(subject.wanted.values())
        self._connection: PageConnection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def scrape(self, report: Report) -> ScrapeFault | None:
        """Visit it once, and report; return why there was no page, None: there was."""
        try:
            async with asyncio.timeout(self._timeout):
                page = await self._page()
        except TimeoutError:
            report.failed(ScrapeFault.TIMEOUT)
            return ScrapeFault.TIMEOUT
        except ScrapeError as error:
            report.failed(error.fault, str(error))
            return error.fault
        found = self._reader.read(page)
        report.took({name: found[series] for name, series in self._subject.wanted.items()})
        return None

    async def _page(self) -> bytes:
        if self._subject.attested and not self._subject.key():
            self.close()
            raise ScrapeError(ScrapeFault.UNATTESTED)
        kept = self._connection
        if kept is not None and kept.open and self._objection(kept.key) is None:
            try:
                return await ask(kept, self._question)
            except ScrapeError as error:
                # Servers close what was silent for long, perhaps in the very moment of a question.
                if error.fault is not ScrapeFault.UNREACHABLE or not kept.silent:
                    raise
        self.close()
        self._connection = await connect(self._place, self._terms, self._objection)
        return await ask(self._connection, self._question)

    def _objection(self, key: bytes) -> ScrapeFault | None:
        """Return what is wrong with a key that is shown; None: nothing."""
        if not self._subject.attested:
            return None
        proved = self._subject.key()
        if not proved:
            return ScrapeFault.UNATTESTED
        return None if key == proved else ScrapeFault.WRONG_KEY


def _context(settings: OpenMetricsSettings) -> ssl.SSLContext | None:
    if not settings.url.encrypted:
        return None
    context = page_context()
    if settings.ca is not None:
        context.load_verify_locations(settings.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = True
    if settings.client_certificate is not None:
        context.load_cert_chain(settings.client_certificate, settings.client_key, no_password)
    return context


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads load, keeps no secret
