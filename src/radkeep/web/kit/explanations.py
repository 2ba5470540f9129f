# SPDX-License-Identifier: Apache-2.0
"""What each error code means and what to do next, for the person who meets it.

Invariant: every code that an answer can name stands here once; ``/problems/CODE`` and the pages of
the portal say the same. Texts are for anybody: they hold nothing of the installation.
"""

from typing import Final, NamedTuple


class Explanation(NamedTuple):
    """One code in words."""

    title: str
    what: str  # what happened
    advice: str  # what to do next


_NOTHING_STORED: Final = "Nothing of it was stored."
_MEND_SENDER: Final = "Tell whoever looks after the sender, with the message of the answer."

EXPLANATIONS: Final = {
    # what was asked
    "invalid-request": Explanation(
        "That was not understood",
        "The request does not have the form that its standard, or this page, gives it.",
        "Go back and check what was typed. A program has to send it otherwise.",
    ),
    "invalid-uid": Explanation(
        "Not a UID",
        f"A UID may have digits and single dots only, 64 at most. {_NOTHING_STORED}",
        _MEND_SENDER,
    ),
    "uid-mismatch": Explanation(
        "The object is another than announced",
        f"The request names other UIDs than the object that it carries. {_NOTHING_STORED}",
        _MEND_SENDER,
    ),
    "undecodable-data-set": Explanation(
        "This cannot be read as DICOM",
        f"The bytes are cut off, damaged or no DICOM object at all. {_NOTHING_STORED}",
        "Send the object again from where it comes from; if that fails too, its file is damaged.",
    ),
    "protocol-violation": Explanation(
        "The peer broke the protocol",
        "It sent what DICOM does not allow at this point, so the association was ended.",
        _MEND_SENDER,
    ),
    "identifier-mismatch": Explanation(
        "The query does not fit its model",
        "It names no level of the information model, or a unique key is missing or no single "
        "value. Nothing was searched and nothing was sent.",
        "Whoever looks after the device asks for another level, or sets its query model.",
    ),
    "range-not-satisfiable": Explanation(
        "Nothing is there",
        "A program asked for bytes behind the end of what it reads.",
        "Ask for the whole, or for a range that begins before its end.",
    ),
    "request-timeout": Explanation(
        "The request came too slowly",
        "It was not complete in time, so it was dropped. Nothing was done.",
        "Try again; if it happens often, look at the network between.",
    ),
    "weak-password": Explanation(
        "Take another password",
        "It is too short, too long or too easy to guess. Nothing was changed.",
        "Take at least 12 characters that stand in no list; several words in a row are good.",
    ),
    "unsupported": Explanation(
        "This server does not do that",
        "The request is well formed, but asks for something that is not there.",
        "The page docs/status.md lists what is there and what is not.",
    ),
    "not-acceptable": Explanation(
        "Not in this form",
        "The client accepts only forms in which this server cannot give what was asked for.",
        'Ask for another media type or transfer syntax; "transfer-syntax=*" takes what is stored.',
    ),
    "not-decodable": Explanation(
        "Not as a picture",
        "Nothing here decodes this kind of image, or the object is no image. What is stored is "
        "whole.",
        'Ask for it as it is stored: "transfer-syntax=*".',
    ),
    "damaged-pixels": Explanation(
        "The image cannot be decoded",
        "The pixels are not what the object says of them; it came like that. What is stored is "
        "what was received.",
        "Look at the sender. The object can be had as it is stored, for whoever can read it.",
    ),
    "decoder-crashed": Explanation(
        "Decoding failed",
        "The isolated process that decodes images ended in the middle of this one; another is "
        "there already.",
        "Tell your administrator which image it was: it may have been made to do that.",
    ),
    "decoder-timeout": Explanation(
        "Decoding took too long",
        "The isolated process that decodes images was stopped at its deadline. Nothing else was "
        "held up.",
        "Try again; for a very large image ask for a part of it, or for what is stored.",
    ),
    "method-not-allowed": Explanation(
        "Not in this way",
        "There is something at this address, but it does not do this.",
        "The Allow header of the answer names what it does.",
    ),
    "too-large": Explanation(
        "Too large",
        f"The request or object is over the limit. {_NOTHING_STORED}",
        "Send less at once. The limit for objects stands in radkeep.toml, [archive].",
    ),
    # who asks
    "sign-in-required": Explanation(
        "Sign in first",
        "Nobody is signed in, or the session has ended, so nothing was changed.",
        "Sign in and try again. Programs send a bearer token.",
    ),
    "sign-in-failed": Explanation(
        "That did not match",
        "E-mail address, password or code are wrong. Which of them, we do not say.",
        "Try again. Who lost password or authenticator asks the administrator.",
    ),
    "sign-in-expired": Explanation(
        "Signing in took too long",
        "The password was given too long ago, or too many codes were wrong.",
        "Begin again with the password.",
    ),
    "session-locked": Explanation(
        "The session is locked",
        "Nobody used it for a while. Nothing was changed.",
        "Its password opens it again, where you were.",
    ),
    "unlock-failed": Explanation(
        "That did not match",
        "The password does not unlock the session.",
        "Try again, or sign out and in again.",
    ),
    "wrong-password": Explanation(
        "That did not match",
        "The password is not that of the account, or there is no such account.",
        "Try again.",
    ),
    "wrong-code": Explanation(
        "The code did not match",
        "It is wrong, too old or was used already.",
        "Type the six digits that the app shows now; the phone must set its clock by itself.",
    ),
    "link-expired": Explanation(
        "This link no longer works",
        "It was used already, is older than an hour, or was replaced by a newer one.",
        "Ask your administrator for another. At the server: radkeep user enrol-link EMAIL.",
    ),
    "demo-link-expired": Explanation(
        "This link no longer works",
        "It was used already, is older than ten minutes, or the server was started again.",
        "Press Enter where the server runs: it prints another.",
    ),
    "already-enrolled": Explanation(
        "This person has enrolled already",
        "The account has a password and a second factor, so no new link is given.",
        "Who lost them is let in again at the server: radkeep user recover EMAIL.",
    ),
    "wrong-passphrase": Explanation(
        "The passphrase does not fit",
        "It, or the root secret, does not open this data directory. Nothing was changed.",
        "Try again. If it is lost: radkeep keys passphrase --recovery-key-file FILE.",
    ),
    # whether they may
    "not-permitted": Explanation(
        "Not permitted",
        "Whoever asks may not do this, or not here.",
        "If you need this for your work, ask your administrator for the role.",
    ),
    "cross-site": Explanation(
        "Not from here",
        "Another site sent your browser here to change something. Nothing was changed.",
        "Open the page you want from the studies.",
    ),
    "device-not-admitted": Explanation(
        "The device is not admitted",
        "It is not registered, or not for the address and the zone from which it calls.",
        "The true reason is for the administrator: radkeep device list --pending.",
    ),
    "not-a-demo": Explanation(
        "This is no demo",
        "People can be switched in a demo only.",
        "Sign in as yourself.",
    ),
    # what is there
    "not-found": Explanation(
        "Not found",
        "There is nothing here, or nothing that you may see.",
        "Check the address, or search for the patient.",
    ),
    "key-missing": Explanation(
        "Not there any more",
        "The study was erased: its key is gone, and nothing can read it.",
        "Nothing brings it back.",
    ),
    "instance-deleted": Explanation(
        "This object was deleted",
        f"Somebody deleted the object that the request carries. {_NOTHING_STORED}",
        "If it belongs here, undo the deletion: radkeep deletion list, radkeep deletion undo.",
    ),
    "already-exists": Explanation(
        "The name is taken",
        "Something with this name exists. Nothing was changed.",
        "Take another name, or remove the one that is there.",
    ),
    "instance-conflict": Explanation(
        "Another object has this UID",
        "The archive holds other content under the same SOP Instance UID. What is stored stays as "
        "it is; the new object is kept in quarantine.",
        "Look at the sender: two objects must never share a UID.",
    ),
    "rule-violation": Explanation(
        "That does not fit what is stored",
        "The change contradicts something that is stored already. Nothing was changed.",
        "Look at what is there and try again.",
    ),
    # whether it can be done now
    "slow-down": Explanation(
        "Too many requests",
        "The server is asked for more than it can do at once.",
        "Wait a little and try again; Retry-After tells how long.",
    ),
    "too-many-requests": Explanation(
        "Too many requests at once",
        "The same party has enough requests under way.",
        "Wait until some of them are answered.",
    ),
    "too-many-attempts": Explanation(
        "Too many attempts failed",
        "The next one will be heard after a pause, which grows with every failure.",
        "Wait; Retry-After tells how long. A browser that signed in before waits less.",
    ),
    "archive-full": Explanation(
        "The archive is full",
        "Nothing more can be stored; what is stored is safe and can be read.",
        "Tell your administrator: the disk needs room.",
    ),
    "integrity-failure": Explanation(
        "What is stored is damaged",
        "Bytes on the disk are not what was written, so they are not given out.",
        "Tell your administrator: radkeep verify --full tells what is damaged.",
    ),
    "unavailable": Explanation(
        "Not now",
        "A part of the server does not answer now.",
        "Nothing was lost. Try again in a minute.",
    ),
    "peer-failed": Explanation(
        "The other system does not answer",
        "It cannot be reached, refuses the association, or did not keep to the protocol.",
        "Look whether it runs, and at the host, port and AE title of its registration.",
    ),
    "association-gone": Explanation(
        "The device hung up",
        "Its association ended while a query or a retrieval was still running.",
        "Let the device ask again; if it happens often, look at the network between.",
    ),
    "keys-locked": Explanation(
        "The server is locked",
        "Its keys are not open, so it can read and store nothing.",
        "Somebody who knows the passphrase has to start it.",
    ),
    "audit-unavailable": Explanation(
        "Not now",
        "What cannot be entered in the audit log is not done, and the log cannot be written now.",
        "Try again in a minute, or tell your administrator.",
    ),
    "viewer-absent": Explanation(
        "The viewer is not installed",
        "It is missing, or is not the one that belongs to this release.",
        "Ask your administrator. Studies are safe and can be found and sent as before.",
    ),
    "bad-configuration": Explanation(
        "The settings do not allow it",
        "Settings or data directory are unsafe or wrong. Nothing was started or changed.",
        "Look at the message that the command printed, at the server.",
    ),
    "internal-error": Explanation(
        "Something went wrong",
        "The server failed in a way that nobody foresaw. What was stored before is safe.",
        "Try again, or tell your administrator the reference: the log says more under it.",
    ),
}
