# SPDX-License-Identifier: Apache-2.0
"""TLS between a connection and its channel, on the event loop.

Invariant: a connection that has sent nothing owns no TLS; every byte that reaches the channel was
authenticated by a peer whose certificate OpenSSL has verified. What has been received and not
decrypted is bounded by ``CIPHERTEXT`` for each connection.

The loop's own TLS would begin with the connection, and copies each record once more: see ADR 13.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final, cast

from typing_extensions import override

from radkeep.dimse.channel import Channel, Phase
from radkeep.dimse.handshakes import Fault, fault_of
from radkeep.dimse.settings import CIPHERTEXT, TURN

# What is read lies here only until it is handed to TLS, within one call of the loop: one for all.
_ARRIVALS: Final = memoryview(bytearray(CIPHERTEXT))


class TlsLink(asyncio.BufferedProtocol, asyncio.Transport):
    """A protocol for the loop's transport, and a transport for the channel."""

    def __init__(
        self,
        channel: Channel,
        context: Callable[[], ssl.SSLContext],
        failed: Callable[[Channel, Fault], None],
    ) -> None:
        """Serve ``channel`` with TLS of ``context``; ``failed`` is told why there is none."""
        super().__init__()
        self._channel, self._context, self._failed = channel, context, failed
        self._raw: asyncio.Transport | None = None
        self._incoming: ssl.MemoryBIO | None = None  # None until the first byte
        self._outgoing: ssl.MemoryBIO | None = None
        self._tls: ssl.SSLObject | None = None
        self._shaken = False  # the handshake is over
        self._paused = self._ended = False  # ended: no more is read
        self._said_farewell = False
        self._resuming: asyncio.Handle | None = None

    # --- for the loop ---

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast("asyncio.Transport", transport)
        self._channel.connection_made(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._tls is not None and not self._shaken and not self._ended:
            self._failed(self._channel, Fault.LEFT)
        self._let_go()
        self._raw = None
        self._channel.connection_lost(exc)

    @override
    def eof_received(self) -> bool:
        return False  # whoever cannot hear an answer is gone

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        return _ARRIVALS if self._channel.connection.in_message else _ARRIVALS[:TURN]

    @override
    def buffer_updated(self, nbytes: int) -> None:
        if self._ended:
            return
        if self._incoming is None:
            self._begin()
        assert self._incoming is not None  # noqa: S101 - just made
        self._incoming.write(_ARRIVALS[:nbytes])
        self._advance()

    @override
    def pause_writing(self) -> None:
        self._channel.pause_writing()

    @override
    def resume_writing(self) -> None:
        self._channel.resume_writing()

    # --- for the channel ---

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._raw.get_extra_info(name, default) if self._raw is not None else default

    @override
    def is_closing(self) -> bool:
        return self._raw is None or self._raw.is_closing()

    @override
    def write(self, data: Any) -> None:
        if not self._shaken or self._said_farewell or self._tls is None:
            return
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        self._flush()

    @override
    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    @override
    def can_write_eof(self) -> bool:
        return True

    @override
    def write_eof(self) -> None:
        self._farewell()
        if self._raw is not None and self._raw.can_write_eof():
            self._raw.write_eof()

    @override
    def close(self) -> None:
        self._farewell()
        self._let_go()
        if self._raw is not None:
            self._raw.close()

    @override
    def abort(self) -> None:
        self._let_go()
        if self._raw is not None:
            self._raw.abort()

    @override
    def pause_reading(self) -> None:
        self._paused = True
        if self._raw is not None:
            self._raw.pause_reading()

    @override
    def resume_reading(self) -> None:
        self._paused = False
        if self._resuming is None:  # later: the channel is in the middle of something
            self._resuming = asyncio.get_running_loop().call_soon(self._resume)

    # --- within ---

    def _begin(self) -> None:
        """Make what a handshake needs: the first byte has come."""
        self._channel.stirred()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._context().wrap_bio(self._incoming, self._outgoing, server_side=True)

    def _resume(self) -> None:
        self._resuming = None
        if not self._ended and not self._paused:
            self._advance()  # what came before the pause
        raw = self._raw
        if not self._paused and raw is not None and not raw.is_closing():
            raw.resume_reading()

    def _advance(self) -> None:
        if not self._shaken and not self._shake():
            return
        self._decrypt()
        self._flush()

    def _shake(self) -> bool:
        """Go on with the handshake; True once it is over."""
        tls = self._tls
        if tls is None:
            return False
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()  # OpenSSL's alert says why
            self._failed(self._channel, fault_of(error))
            self._ended = True
            self._channel.close()
            return False
        self._flush()
        self._shaken = True
        certificate = tls.getpeercert(binary_form=True)
        # OpenSSL has asked for one; should it ever not, the channel's peer has proved nothing.
        self._channel.certificate = sha256(certificate).hexdigest() if certificate else ""
        if not certificate:
            self.abort()
        return bool(certificate)

    def _decrypt(self) -> None:
        """Hand all that is whole to the channel, a buffer of it at a time."""
        channel, dry = self._channel, False
        while not (dry or self._paused or self._tls is None):
            room = channel.get_buffer(-1)
            filled, dry = self._fill(self._tls, room)
            if filled:
                channel.buffer_updated(filled)
        if self._ended and self._tls is not None:
            self._flush()
            if channel.phase is not Phase.CLOSING and self._raw is not None:
                self._raw.close()

    def _fill(self, tls: ssl.SSLObject, room: memoryview) -> tuple[int, bool]:
        """Decrypt into ``room``; return how much, and whether there is no more for now."""
        filled, size = 0, len(room)
        while filled < size:
            try:
                count = cast("int", tls.read(size - filled, room[filled:]))
            except ssl.SSLWantReadError:
                return filled, True
            except ssl.SSLError:
                count = 0  # a forged record, or one cut short
            if not count:  # or the peer's farewell
                self._ended = True
                return filled, True
            filled += count
        return filled, False

    def _flush(self) -> None:
        outgoing, raw = self._outgoing, self._raw
        if outgoing is not None and outgoing.pending and raw is not None and not raw.is_closing():
            raw.write(outgoing.read())

    def _farewell(self) -> None:
        """Send close_notify once; do not wait for the peer's."""
        if self._tls is None or not self._shaken or self._said_farewell:
            return
        self._said_farewell = True
        with suppress(ssl.SSLError):  # WantRead: the peer has not said farewell yet
            self._tls.unwrap()
        self._flush()

    def _let_go(self) -> None:
        """Free the TLS state; whatever comes from now on is dropped."""
        self._ended = True
        self._tls = self._incoming = self._outgoing = None
