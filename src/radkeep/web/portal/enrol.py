# SPDX-License-Identifier: Apache-2.0
"""From a one-time link to an account: password, authenticator, recovery codes.

Invariant: nothing is kept between the two pages but the link itself, so that going back or
reloading can neither enrol twice nor show recovery codes again.
"""

from dataclasses import dataclass, replace
from typing import Final

from starlette.responses import Response

from radkeep.crypto.otp import WrongCodeError
from radkeep.identity.enrolment import Enrolment
from radkeep.identity.strength import WeakPasswordError
from radkeep.web.kit.requests import Incoming
from radkeep.web.portal.frames import Frames
from radkeep.web.portal.pages.enrolment import EnrolCodesPage, EnrolPage
from radkeep.web.portal.qr import in_groups, qr_image
from radkeep.web.portal.rendering import render
from radkeep.web.portal.words import sentence

_DIFFERENT: Final = "The two passwords differ. Type the same one twice."
_WRONG_CODE: Final = (
    "The code did not match. Type the six digits that the app shows now; if that fails again, "
    "check that the phone sets its clock by itself. Type the passwords again, too."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrol:
    """The pages behind an enrolment link."""

    enrolment: Enrolment
    frames: Frames

    def show(self, request: Incoming) -> Response:
        """Show what the link offers; looking does not use it up.

        Raises:
            LinkExpiredError: the link does not work.
        """
        return render(self._page(request.query_params.get("token", "")))

    def redeem(self, request: Incoming) -> Response:
        """Set password and authenticator, then show the recovery codes, once.

        Raises:
            LinkExpiredError: the link does not work.
        """
        form = request.fields
        page, password = self._page(form.get("token", "")), form.get("password", "")
        if password != form.get("again", ""):
            return render(replace(page, problem=_DIFFERENT), 400)
        try:
            enrolled = self.enrolment.redeem(
                page.token, password, form.get("code", ""), address=request.address
            )
        except WeakPasswordError as error:
            return render(replace(page, problem=sentence(str(error))), 400)
        except WrongCodeError:
            return render(replace(page, problem=_WRONG_CODE), 400)
        return render(
            EnrolCodesPage(
                frame=self.frames.nobody(), email=page.email, codes=tuple(enrolled.recovery_codes)
            )
        )

    def _page(self, token: str) -> EnrolPage:
        offer = self.enrolment.offer(token)
        return EnrolPage(
            frame=self.frames.nobody(),
            email=offer.email,
            token=token,
            qr=qr_image(offer.totp_uri),
            key=in_groups(offer.totp_secret),
        )
