"""Twilio and the carriers behind it, over the wire protocol only: `python -m sandbox.carrier`.

Speaks the Messages resource of the 2010 API, signs and posts callbacks as Twilio does, lets handsets
write back, and keeps a ledger of what really happened (`ledger.fetch_ledger`) that tests and the demo
compare a pipeline with. From one seed every message meets the same fate again (`fate.fate`).

A message sent From a number is answered `queued` and calls back sent, then delivered or undelivered;
or failed. Through a Messaging Service it is answered `accepted` and calls back queued first, with the
From that was chosen. WhatsApp and RCS may add read.

Numbers that force a behaviour (`magic.Magic.X.number`; each with no other fault beside its own):

| number       | Magic             | what happens                                                          |
|--------------|-------------------|-----------------------------------------------------------------------|
| +18205550101 | DELIVERED         | 201; sent, delivered                                                  |
| +18205550102 | UNREACHABLE       | 201; sent, undelivered 30003                                          |
| +18205550103 | UNKNOWN_HANDSET   | 201; sent, undelivered 30005                                          |
| +18205550104 | LANDLINE          | 201; sent, undelivered 30006                                          |
| +18205550105 | FILTERED          | 201; sent, undelivered 30007                                          |
| +18205550106 | UNKNOWN_ERROR     | 201; sent, undelivered 30008                                          |
| +18205550107 | FAILED            | 201; failed 30500                                                     |
| +18205550108 | SILENT_REACHED    | 201; sent for ever, and the handset has it                            |
| +18205550109 | SILENT_LOST       | 201; sent for ever, and the handset never gets it                     |
| +18205550110 | CALLBACK_FIRST    | the first callback is posted and answered, then comes the 201         |
| +18205550111 | ACCEPTED_RESET    | accepted and delivered; the connection is reset instead of a 201      |
| +18205550112 | ACCEPTED_HANG     | accepted and delivered; the call is never answered                    |
| +18205550113 | ERROR_BEFORE      | 500/20500, never processed                                            |
| +18205550114 | ERROR_AFTER       | accepted and delivered; the call is answered 500/20500                |
| +18205550115 | UNAVAILABLE       | 503/20503, never processed                                            |
| +18205550116 | THROTTLED         | 429/20429, never processed                                            |
| +18205550117 | DUPLICATES        | every callback twice, the copies with idempotency tokens of their own |
| +18205550118 | REVERSED          | delivered is posted before sent (and sent before queued)              |
| +18205550119 | SLOW              | the 201 comes 1.5 to 4.5 s late (times --time-scale)                  |
| +18205550120 | CALLBACKS_LOST    | delivered, and no callback at all                                     |
| +18205550121 | ERROR_BEFORE_ONCE | as ERROR_BEFORE the first time the same content is sent, then 201     |
| +18205550122 | UNAVAILABLE_ONCE  | as UNAVAILABLE the first time, then 201                               |
| +18205550123 | THROTTLED_ONCE    | as THROTTLED the first time, then 201                                 |

Twilio's own test numbers refuse: To +15005550001 21211, …02 21612, …03 21408, …04 21610, …09 21614;
From +15005550001 21212, …07 21606, …08 21611.

Left out: XML answers, media, TwiML replies (they are returned, not sent), WhatsApp's 24-hour window,
Advanced Opt-Out, ownership of senders.
"""
