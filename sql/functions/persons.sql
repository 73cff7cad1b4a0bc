-- Which addresses are one person's. Another person behind one address is nothing that a table tells.

-- The person behind an e-mail address, as an address: without what follows a + before the @, and of Gmail, which reads
-- over dots, without these. email is in its normal form; NULL where it is no address.
CREATE TEMP FUNCTION person_of(email STRING) AS (
  CASE
    WHEN REGEXP_CONTAINS(email, r'^[^+@]+[^@]*@g(oogle)?mail\.com$')
      THEN CONCAT(REPLACE(REGEXP_EXTRACT(email, r'^([^+@]+)'), '.', ''), '@gmail.com')
    WHEN REGEXP_CONTAINS(email, r'^[^+@]+[^@]*@[^@]+$')
      THEN CONCAT(REGEXP_EXTRACT(email, r'^([^+@]+)'), REGEXP_EXTRACT(email, r'(@[^@]+)$'))
    WHEN REGEXP_CONTAINS(email, r'^[^@]*@[^@]+$') THEN email
  END
);
