"""What analytics may know of a recipient beyond a hash: the carrier by look-up, and what tenants opted in to.

Also how PII_HASH_KEY is changed, for only who sees the numbers can say which old and new hash are one person:

1. Set the new PII_HASH_KEY for the analytics service, and for `notifystream carriers` and whoever erases also
   the old one as PII_HASH_KEY_PREVIOUS; start them again. From here on rows have new hashes, and the carriers
   process links the old hash of everybody who is written to (`recipient_links`, view `recipient_people`);
   what was looked up under the old one is taken over, nobody is asked again.
2. Leave both set for as long as people are to be recognized: the longest retention of a table (400 days) for
   all who are ever written to again. Erasing looks under both keys, and follows the links.
3. Take PII_HASH_KEY_PREVIOUS away and destroy the old key. Links stay; they are of no use without a key.

Who is never written to meanwhile keeps the old hash only, and is found by it as long as the key is there.
After a leak of the key do not link: links would lead whoever has it to the new hashes. Change it without
PREVIOUS, and old and new rows of a person are strangers; numbers of tenants that opted in stand beside the
old hashes for 30 days more, unless recipient_numbers is truncated.
"""
