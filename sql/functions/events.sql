-- What the events table holds: which events name parts, and in which of their properties.

-- How an event names its parts: alone (ProductId), as items (Items_0.ProductId and on) or as SKUs (SKUs_0 and on). NULL:
-- it is no view, cart or order. event_name is trimmed, in lower case.
CREATE TEMP FUNCTION event_shape(event_name STRING) AS (
  CASE event_name
    WHEN 'viewed product' THEN 'single'
    WHEN 'ordered product' THEN 'single'
    WHEN 'cart update' THEN 'items'
    WHEN 'placed order' THEN 'items'
    WHEN 'consumer website order' THEN 'skus'
  END
);

-- What an event of one of these shapes says of its parts. event_name is trimmed, in lower case.
CREATE TEMP FUNCTION event_interaction(event_name STRING) AS (
  CASE event_name
    WHEN 'viewed product' THEN 'view'
    WHEN 'cart update' THEN 'cart'
    ELSE 'order'
  END
);

-- What a property tells in an event of such a shape: part, price or image. NULL: nothing that is read. name is trimmed, in
-- lower case.
CREATE TEMP FUNCTION property_role(shape STRING, name STRING) AS (
  IF(
    CASE shape
      WHEN 'single' THEN name IN ('productid', 'prodid', 'price', 'imageurl')
      WHEN 'items' THEN REGEXP_CONTAINS(name, r'^items[_.][0-9]+[_.](productid|prodid|itemprice|imageurl)$')
      WHEN 'skus' THEN REGEXP_CONTAINS(name, r'^skus[_.][0-9]+$')
    END,
    CASE
      WHEN ENDS_WITH(name, 'price') THEN 'price'
      WHEN ENDS_WITH(name, 'imageurl') THEN 'image'
      ELSE 'part'
    END,
    NULL
  )
);
