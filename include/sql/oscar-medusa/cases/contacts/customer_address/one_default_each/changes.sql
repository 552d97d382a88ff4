UPDATE address_useraddress SET is_default_for_shipping = id = 1, is_default_for_billing = id = 3;
