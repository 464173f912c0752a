"""All problems that a request can meet (RFC 9457), each with its code, status, title and sentence.

Engine and gateway both answer from this list, so that the problem of a job and of a response are the same.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

TYPE_BASE: Final = "https://admitone.dev/problems/"


class Problem(msgspec.Struct, frozen=True):
    """A kind of problem: HTTP status, title, and the sentence that is sent unless there is a more exact one."""

    status: int
    title: str
    detail: str


CATALOGUE: Final[dict[str, Problem]] = {
    "invalid_request": Problem(400, "Invalid request", "The request does not have the documented shape."),
    "unauthenticated": Problem(401, "No session", "Start a session with POST /api/session and send its token."),
    "session_invalid": Problem(401, "Session not valid", "This session is forged or has ended; start a new one."),
    "second_factor_required": Problem(
        401, "Code needed", "Send the code that your authenticator shows, or a recovery code."
    ),
    "second_factor_wrong": Problem(
        401, "Wrong code", "That is not the code of this half minute, or it was used before; wait for the next."
    ),
    "passkey_refused": Problem(403, "Passkey refused", "This passkey is not known here, or its answer is not valid."),
    "factor_there": Problem(
        409, "There already", "You have this second factor already, or as many as there may be; remove one first."
    ),
    "account_required": Problem(
        403, "Account required", "Here fans need an account: sign in at /account, and your place comes along."
    ),
    "last_way_in": Problem(
        409, "The last way in", "Without it you could not sign in any more. Set a password or add a passkey first."
    ),
    "account_joined": Problem(
        409, "Account joined", "This account was joined to another one of the same person; sign in to that one."
    ),
    "join_refused": Problem(
        403, "Not proved", "The proof of the other account has ended or is not yours, or it is this very account."
    ),
    "accounts_off": Problem(404, "No accounts", "This site has no accounts of this kind."),
    "link_spent": Problem(403, "Link used or ended", "This link was used before or has ended; ask for a new one."),
    "ticket_link_ended": Problem(
        409, "Link ended", "Somebody took this ticket already, or it was cancelled, or the event has begun."
    ),
    "unfinished": Problem(
        409, "Finish first", "You hold seats or are let in without an account; finish there, or send leave: true."
    ),
    "issuer_refused": Problem(
        403, "Sign-in refused", "The issuer did not confirm who you are; begin the sign-in anew."
    ),
    "not_you": Problem(403, "Not you", "userId is not the user of this session."),
    "not_operator": Problem(403, "Operators only", "This needs an operator's session."),
    "not_your_role": Problem(403, "Not in your role", "Your role does not allow this; ask an owner of the site."),
    "wrong_password": Problem(403, "Wrong password", "The password that you have now is another one."),
    "second_factor_needed": Problem(
        403, "Second factor needed", "Your role needs a second factor; add one at /ops/account first."
    ),
    "cross_site": Problem(
        403, "Cross-site request", "A request with the session's cookie must come from our own pages."
    ),
    "captcha_required": Problem(
        403, "Captcha required", "Solve the captcha named at /api/captcha and send captchaToken."
    ),
    "captcha_failed": Problem(403, "Captcha failed", "The captcha was not solved; solve a new one and try again."),
    "captcha_unavailable": Problem(
        503, "Captcha unavailable", "The captcha service does not answer; try again shortly."
    ),
    "not_admitted": Problem(403, "Not admitted", "Join the line and wait for your turn; your pass may have ended."),
    "pass_required": Problem(401, "Pass required", "Join the line at href; it sends you back with a pass."),
    "code_unknown": Problem(403, "Unknown code", "This event has no such access code; check it for typing errors."),
    "code_used": Problem(403, "Code used up", "This access code has been used as often as it may be."),
    "code_not_yet": Problem(403, "Code not valid yet", "This access code is not valid yet; try again when it is."),
    "code_expired": Problem(403, "Code expired", "This access code is not valid any more."),
    "not_on_sale": Problem(403, "Not on sale yet", "The sale of this event has not begun."),
    "sale_over": Problem(403, "The sale is over", "The sale of this event is over; its seats are not sold any more."),
    "event_unpublished": Problem(403, "Event off sale", "The organiser has taken this event off sale for now."),
    "event_cancelled": Problem(403, "Event cancelled", "This event was cancelled; its seats are not sold any more."),
    "type_not_on_sale": Problem(403, "Not on sale yet", "Tickets of this type are not on sale yet."),
    "type_sale_over": Problem(403, "Not on sale any more", "Tickets of this type are not on sale any more."),
    "type_limit_exceeded": Problem(
        403, "Too many seats", "That is more seats than one fan may have of this ticket type."
    ),
    "limit_exceeded": Problem(403, "Too many seats", "That is more seats than one fan may have for this event."),
    "too_many_holds": Problem(
        403,
        "Too many holds",
        "You held seats again and again without buying; wait a while, or ask the organiser to let you go on.",
    ),
    "conduct_refused": Problem(
        403,
        "Session refused for a while",
        "What was done in this session looks like a program's; wait ten minutes, or write to the organiser.",
    ),
    "network_denied": Problem(403, "Network turned away", "The organiser has turned your network away."),
    "not_your_hold": Problem(403, "Not your hold", "These seats are held by somebody else."),
    "payment_failed": Problem(
        402, "Payment failed", "The payment was declined; the seats stay held until the hold ends."
    ),
    "not_found": Problem(404, "Not found", "There is nothing at this address."),
    "not_served_here": Problem(
        421, "Not served here", "This gateway serves other parts of the site, or other events: the proxy was misled."
    ),
    "unknown_event": Problem(404, "Unknown event", "There is no such event."),
    "unknown_plan": Problem(
        404, "Unknown plan", "The hall plan has changed, or has no such section; read the event's plan anew."
    ),
    "unknown_seats": Problem(404, "Unknown seats", "The hall has no such seats."),
    "unknown_job": Problem(
        404, "Unknown job", "No such job is known; retry the request with the same Idempotency-Key."
    ),
    "unknown_webhook": Problem(404, "Unknown webhook", "There is no such webhook."),
    "too_many_webhooks": Problem(409, "Too many webhooks", "There are as many webhooks as there may be; remove one."),
    "unknown_alarm": Problem(404, "Unknown alarm", "There is no such kind of alarm."),
    "unknown_receiver": Problem(404, "Unknown receiver", "There is no such receiver of alarms."),
    "too_many_receivers": Problem(
        409, "Too many receivers", "There are as many receivers of alarms as there may be; remove one."
    ),
    "too_many_exceptions": Problem(
        409, "Too many exceptions", "As many events have thresholds of their own as may; let the site's hold for one."
    ),
    "url_refused": Problem(403, "Address refused", "No webhook may point there."),
    "unknown_purchase": Problem(404, "Unknown purchase", "You have no such purchase."),
    "unknown_codes": Problem(404, "Unknown codes", "No such access codes were issued for this event."),
    "unknown_rule": Problem(404, "Unknown rule", "There is no such rule of networks; it was removed, or never made."),
    "lane_refused": Problem(409, "Lane refused", "The lane has no worker, or there are no such lanes."),
    "hand_over_pending": Problem(
        503, "Hand-over pending", "Lanes have yet to hand over from earlier changes; see that they have workers."
    ),
    "too_many_rules": Problem(409, "Too many rules", "There would be more rules of networks than there may be."),
    "unknown_operator": Problem(404, "Unknown operator", "There is no such operator."),
    "unknown_token": Problem(404, "Unknown token", "There is no such token; it was revoked, or has ended."),
    "operator_exists": Problem(409, "Operator exists", "There is an operator of this name already."),
    "too_many_tokens": Problem(409, "Too many tokens", "There are as many tokens of scripts as there may be."),
    "too_many_operators": Problem(409, "Too many operators", "There are as many operators as there may be."),
    "last_owner": Problem(409, "Last owner", "Nobody else is owner of the whole site; make another owner first."),
    "unknown_step": Problem(404, "Unknown step", "The room has no such step to come; it was set, or taken back."),
    "too_many_steps": Problem(409, "Too many steps", "The room has as many steps as it may have; take one back."),
    "unknown_fan": Problem(404, "Unknown fan", "This event knows no such fan."),
    "unknown_message": Problem(404, "Unknown message", "The fan has no such message, or it is still on its way."),
    "no_place": Problem(409, "No place", "The fan had no place in this line; put the fan in front, or let them join."),
    "not_in_line": Problem(404, "Not in line", "You are not in this line; join it first."),
    "method_not_allowed": Problem(405, "Method not allowed", "This address does not take that method."),
    "seats_taken": Problem(409, "Seats taken", "At least one of these seats is taken; choose others."),
    "no_block": Problem(409, "No such block", "There are not so many seats together in one row; ask for fewer."),
    "sold_out": Problem(409, "Sold out", "Every seat of this kind is sold."),
    "kept_for_waiting": Problem(
        409, "Kept for those who wait", "Seats that come back go to the fans on the waiting list, in their order."
    ),
    "waiting_list_off": Problem(409, "No waiting list", "This event has no waiting list."),
    "not_sold_out": Problem(
        409, "Not sold out", "So many seats of this kind may still be had; there is no need to wait."
    ),
    "already_waiting": Problem(409, "Already waiting", "You have another entry in this waiting list; leave it first."),
    "not_waiting": Problem(404, "Not waiting", "You are not in the waiting list of this event."),
    "voucher_unknown": Problem(403, "Unknown voucher", "This event has no such voucher; check it for typing errors."),
    "voucher_used": Problem(403, "Voucher used up", "This voucher has been used as often as it may be."),
    "voucher_expired": Problem(403, "Voucher expired", "This voucher is not valid any more."),
    "voucher_not_for_these": Problem(403, "Voucher not for these", "This voucher is for tickets of another type."),
    "unknown_allotment": Problem(404, "Unknown allotment", "The event has no such allotment of seats."),
    "unknown_vouchers": Problem(404, "Unknown vouchers", "No such vouchers were issued for this event."),
    "hold_expired": Problem(409, "Hold expired", "The hold has ended; choose seats anew."),
    "answers_missing": Problem(
        409, "Answers missing", "This event asks for something first: put the answers of your hold, then check out."
    ),
    "terms_changed": Problem(409, "Terms changed", "The terms are new: read them, and agree to this version."),
    "unknown_order": Problem(404, "Unknown order", "This event has no such order."),
    "no_invoice": Problem(
        404, "No invoice", "The order has no invoice, or none yet: it comes seconds after the payment."
    ),
    "no_address": Problem(409, "No address", "The order has no mail address: give it one first."),
    "hold_mismatch": Problem(409, "No such hold", "These seats are not exactly one live hold of yours."),
    "not_cancellable": Problem(
        409, "Not to be cancelled", "These seats are not live seats of this purchase; nothing was cancelled."
    ),
    "cancel_closed": Problem(
        409, "Too late to cancel", "Seats of this event can be given back no longer; nothing was cancelled."
    ),
    "unknown_ticket": Problem(404, "Unknown ticket", "This event has no such ticket."),
    "ticket_used": Problem(409, "Used already", "Somebody was let in with this ticket already."),
    "ticket_cancelled": Problem(409, "Cancelled", "This ticket was given back; it lets nobody in."),
    "ticket_handed_on": Problem(
        409, "Handed on", "This ticket was handed to somebody else, who has a new one; the old one lets nobody in."
    ),
    "other_event": Problem(409, "For another event", "This ticket is for another event."),
    "scan_repeated": Problem(
        409, "Scan again", "This scan was undone, or its id was used for another ticket; scan the ticket again."
    ),
    "unknown_entry": Problem(404, "Unknown entry", "This event has no such entry."),
    "not_called": Problem(
        409, "Not called", "You are not called, the claim window has passed, or the event is not on sale."
    ),
    "timed_out": Problem(
        503, "Not processed in time", "The request was not processed in time and changed nothing; try again."
    ),
    "event_invalid": Problem(
        422, "Not a possible event", "The event cannot be as it is described; nothing was changed."
    ),
    "plan_invalid": Problem(
        422, "Not a possible hall plan", "The hall plan cannot be as it is described; nothing was changed."
    ),
    "no_plan": Problem(404, "No hall plan", "This event was given no hall plan; its plan is made of its seats."),
    "picture_refused": Problem(
        422, "Picture refused", "That is no picture that we take: a JPEG, PNG or WebP of 640 by 360 pixels or more."
    ),
    "payments_off": Problem(404, "No such payments", "This site takes no payments by this provider."),
    "push_off": Problem(404, "No web push", "This site sends no web push; it has no VAPID key."),
    "messages_off": Problem(404, "No such messages", "This site sends no messages by this channel."),
    "signature_invalid": Problem(401, "Not signed by us both", "The report's signature is not valid."),
    "unknown_ticket_type": Problem(404, "Unknown ticket type", "The event has no such ticket type."),
    "seats_exist": Problem(409, "Seats there already", "The hall has some of these seats already."),
    "seats_sold": Problem(409, "Seats sold", "Some of these seats are sold, and what is sold stays."),
    "seats_held": Problem(409, "Seats held", "Fans hold some of these seats; try again when the holds have ended."),
    "currency_in_use": Problem(409, "Currency in use", "Seats are sold or held in the currency that the event has."),
    "payments_in_use": Problem(
        409, "Payments in use", "Seats are sold or held already, so how they are paid cannot be changed."
    ),
    "limit_too_low": Problem(409, "Fans have more", "Some fan has more seats of this event than that already."),
    "cancelled_for_good": Problem(409, "Cancelled for good", "A cancelled event stays cancelled."),
    "sale_begun": Problem(409, "The sale has begun", "The beginning of a sale that has begun cannot be moved."),
    "request_timeout": Problem(408, "Request not finished", "The request did not come to its end in time."),
    "conflict": Problem(409, "Changed meanwhile", "Somebody else changed this meanwhile; read it again."),
    "body_too_large": Problem(413, "Body too large", "The request's body is larger than is taken here."),
    "unsupported_media_type": Problem(415, "Unsupported media type", "Send JSON with Content-Type: application/json."),
    "idempotency_key_reused": Problem(
        422,
        "Idempotency-Key reused",
        "This key was used for another request; use a new key for a new request.",
    ),
    "rate_limited": Problem(429, "Too many requests", "Too many requests from this network; wait and try again."),
    "sign_in_busy": Problem(
        503, "Too many sign-ins", "More operators' passwords are to be checked than can be; try again shortly."
    ),
    "too_many_codes": Problem(429, "Too many codes tried", "Too many wrong access codes; wait and try again."),
    "head_too_large": Problem(
        431, "Head too large", "The request's address and headers are larger than is taken here."
    ),
    "internal_error": Problem(500, "Internal error", "Something failed here; nothing was changed. Try again."),
    "line_full": Problem(503, "The line is full", "The line takes no more fans at the moment; try again shortly."),
    "rebuilding": Problem(503, "The line is being rebuilt", "Places are being restored; try again in some seconds."),
    "closed": Problem(503, "The room is closed", "This waiting room is closed."),
    "overloaded": Problem(503, "Overloaded", "More bookings arrive than can be taken; nothing was queued. Try again."),
    "unavailable": Problem(503, "Unavailable", "A part of the system does not answer; try again shortly."),
    "too_many_connections": Problem(
        503, "Too many connections", "This address has too many connections open, or the server has none left."
    ),
    "too_many_streams": Problem(503, "Too many streams", "This server has no stream left; poll, or try again shortly."),
}


def problem(code: str, detail: str | None = None, **members: Any) -> dict[str, Any]:
    """A problem document: ``type, title, status, detail, code`` and extension ``members``.

    Raises:
        KeyError: ``code`` is not in the catalogue.
    """
    kind = CATALOGUE[code]
    return {
        "type": TYPE_BASE + code,
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.detail,
        "code": code,
        **members,
    }
