copy events (
    event_id, event_type, event_timestamp, customer_id, customer_name, customer_email, customer_address, session_id,
    user_agent, ip_address, product_id, product_name, category, brand, sku, price, price_category, device_type,
    attributes, file_id, source_row, source_event_id, batch_id
) from stdin
