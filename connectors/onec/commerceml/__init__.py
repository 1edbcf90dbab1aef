"""CommerceML 2.x and 3.x: orders, payments and shipments as 1C and sites exchange them in XML files."""
