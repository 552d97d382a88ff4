UPDATE consent_texts SET keep_months = 12 WHERE version = 'v3';
