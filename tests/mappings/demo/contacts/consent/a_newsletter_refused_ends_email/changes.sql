UPDATE customers SET newsletter = 'N', newsletter_date = 'soon' WHERE id = 4;
